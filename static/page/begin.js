/* Runs in the head, before anything is drawn. A browser that can't do the rest (Internet Explorer below 10) keeps the
   page without script, where the form posts to the growing page. */
(function () {
  'use strict';
  var html = document.documentElement;

  /** Whether flexboxes have gaps: not before Chromium 84, Safari 14.1 and Firefox 63, whose @supports knows those of grids. */
  function hasGaps() {
    var box = document.createElement('div'), height;
    box.style.cssText = 'position: absolute; visibility: hidden; display: flex; flex-direction: column; row-gap: 1px';
    box.appendChild(document.createElement('div'));
    box.appendChild(document.createElement('div'));
    html.appendChild(box);
    height = box.offsetHeight;
    html.removeChild(box);
    return height === 1;
  }

  /** The one global of the page's scripts; each file adds the thing that it is named after. */
  window.MillstreamPage = {};
  if (window.JSON && window.XMLHttpRequest && html.classList && document.querySelector && window.FormData) {
    // `old`: page.css says nearly everything behind @supports (--a: 0), and the rest to these. WebKit 602 denies it to CSS.supports.
    html.className = window.getComputedStyle(html).getPropertyValue('--page') ? 'js' : 'js old';
    if (!hasGaps()) html.className += ' no-gap'; // features.css gives them margins
  }
}());
