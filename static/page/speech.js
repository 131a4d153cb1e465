/* What screen readers are told: by one polite element, and by one that interrupts, for failures. The thread itself is
   no live region. */
(function (page) {
  'use strict';
  var polite = page.make('div', {role: 'status', 'aria-live': 'polite', 'class': 'quiet'});
  var alarm = page.make('div', {role: 'alert', 'class': 'quiet'});

  function tell(element, words) {
    element.textContent = '';
    setTimeout(function () { element.textContent = words; }, 50); // the same words twice are said twice
  }

  page.speech = {
    begin: function (dock) {
      dock.insertBefore(polite, dock.firstChild);
      dock.insertBefore(alarm, dock.firstChild); // at the end they would lengthen the page by a pixel
    },
    tell: function (words) { tell(polite, words); },
    alarm: function (words) { tell(alarm, words); }
  };
}(window.MillstreamPage));
