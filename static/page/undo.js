/* Ten seconds to take back what replaced or deleted something. */
(function (page) {
  'use strict';
  var TIME = 10000; // ms
  var shown = null, timer = null;

  function gone() {
    clearTimeout(timer);
    page.remove(shown);
    shown = null;
  }

  page.undo = {
    /** Offers `back` at the beginning of `place`, in place of an older offer. */
    offer: function (place, words, back) {
      gone();
      shown = page.make('p', {'class': 'undo'}, [
        page.make('span', {text: words}),
        page.make('button', {type: 'button', 'class': 'link', text: page.say('undo'), onclick: function () {
          gone();
          back();
        }})
      ]);
      place.insertBefore(shown, place.firstChild);
      page.speech.tell(words);
      timer = setTimeout(gone, TIME);
    },
    gone: gone,
    /** How long, in ms. */
    time: TIME
  };
}(window.MillstreamPage));
