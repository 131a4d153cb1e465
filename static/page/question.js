/* A question in the thread. */
(function (page) {
  'use strict';

  /** Its list item. `edit` is called when it should go back to the message box. */
  page.drawQuestion = function (turn, edit) {
    var bubble = page.make('div', {'class': 'bubble', dir: 'auto', text: turn.text});
    var copy = page.copies(page.iconButton('copy', page.say('copy')), function () { return turn.text; });
    page.markLanguage(bubble, turn.text);
    return page.make('li', {'class': 'question'}, [
      page.make('h2', {'class': 'quiet', text: page.say('you')}), bubble,
      page.make('div', {'class': 'actions'}, [page.iconButton('edit', page.say('edit'), edit, {'data-edit': ''}), copy])
    ]);
  };
}(window.MillstreamPage));
