/* A question in the thread. */
(function (page) {
  'use strict';

  /** {element, versions}. acts: edit(), version(n). */
  page.drawQuestion = function (turn, acts) {
    var bubble = page.make('div', {'class': 'bubble' + (/\S{200}/.test(turn.text) ? ' long' : ''), dir: 'auto', text: turn.text});
    var copy = page.copies(page.iconButton('copy', page.say('copy')), function () { return turn.text; });
    var versions = page.versions(acts.version);
    page.markLanguage(bubble, turn.text);
    if (turn.files && turn.files.length) {
      bubble.classList.add('carries');
      page.drawCarried(bubble.insertBefore(page.make('div', {'class': 'carried'}), bubble.firstChild), turn.files);
    }
    return {
      element: page.make('li', {'class': 'question'}, [
        page.make('h2', {'class': 'quiet', text: page.say('you')}),
        page.talks.isElsewhere(turn) ? page.make('p', {'class': 'elsewhere', text: page.say('from_tab')}) : null, bubble,
        page.make('div', {'class': 'actions'}, [versions.element, page.iconButton('edit', page.say('edit'), acts.edit, {'data-edit': ''}), copy])
      ]),
      versions: versions
    };
  };
}(window.MillstreamPage));
