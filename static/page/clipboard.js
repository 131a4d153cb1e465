/* Copying. */
(function (page) {
  'use strict';

  function byHand(text) { // no navigator.clipboard: plain HTTP, Chromium before 66, WebKit before 13.1
    var field = page.make('textarea', {'class': 'quiet', 'aria-hidden': 'true'});
    var focused = document.activeElement;
    field.value = text;
    document.body.appendChild(field);
    field.select();
    try {
      document.execCommand('copy');
    } catch (error) { /* PhantomJS has no such command. */ }
    page.remove(field);
    if (focused) focused.focus();
  }

  page.copy = function (text) {
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(text).then(null, function () { byHand(text); });
    } else {
      byHand(text);
    }
  };

  /** Says "Copied" on the button for two seconds, and aloud. */
  page.copies = function (button, text) {
    button.addEventListener('click', function () {
      var label = button.querySelector('span');
      page.copy(text());
      page.speech.tell(page.say('copied'));
      page.swapIcon(button, 'check');
      if (label) label.textContent = page.say('copied');
      setTimeout(function () {
        page.swapIcon(button, 'copy');
        if (label) label.textContent = page.say('copy');
      }, 2000);
    });
    return button;
  };
}(window.MillstreamPage));
