/* Icons from templates/icons.html, and buttons that carry them. */
(function (page) {
  'use strict';
  var SVG = 'http://www.w3.org/2000/svg';
  var XLINK = 'http://www.w3.org/1999/xlink';

  page.icon = function (name) {
    var svg = document.createElementNS(SVG, 'svg');
    var use = document.createElementNS(SVG, 'use');
    svg.setAttribute('class', 'icon');
    svg.setAttribute('width', '16');
    svg.setAttribute('height', '16');
    svg.setAttribute('aria-hidden', 'true');
    svg.setAttribute('focusable', 'false');
    use.setAttributeNS(XLINK, 'xlink:href', '#i-' + name); // WebKit before 12.1 knows no plain href here
    svg.appendChild(use);
    return svg;
  };

  page.swapIcon = function (button, name) {
    button.replaceChild(page.icon(name), button.querySelector('.icon'));
  };

  /** A button that shows an icon alone; its label is read out, and shown when pointed at. */
  page.iconButton = function (icon, label, onclick, more) {
    var button = page.make('button', {type: 'button', 'class': 'tool', 'aria-label': label, title: label, onclick: onclick}, [page.icon(icon)]);
    Object.keys(more || {}).forEach(function (key) { button.setAttribute(key, more[key]); });
    return button;
  };

  /** A button with an icon and words. */
  page.button = function (icon, words, onclick, style) {
    return page.make('button', {type: 'button', 'class': style || 'quietly', onclick: onclick},
      [icon ? page.icon(icon) : null, page.make('span', {text: words})]);
  };
}(window.MillstreamPage));
