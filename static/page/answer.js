/* An answer in the thread: thoughts, text, notice, facts, buttons. It draws a record (see answering.js) and grows with it. */
(function (page) {
  'use strict';

  /** {element, versions, text(piece), thought(piece), finish()}. acts: again(), continued(), version(n). */
  page.drawAnswer = function (record, acts) {
    var text = page.make('div', {'class': 'text', dir: 'auto'});
    var article = page.make('article', {'class': 'answer', 'aria-busy': 'true'}, [text]);
    var item = page.make('li', {'class': 'reply'}, [page.make('h2', {'class': 'quiet', text: page.say('answer')}), article]);
    // What is finished is drawn at once: to follow each of a long conversation would lay all of it out each time.
    var follow = record.state === 'running' ? page.scrolling.follow : function () {};
    var drawing = page.drawing(text, follow);
    var versions = page.versions(acts.version);
    var thoughts = null, summary = null, thinking = null, letters = '';

    function listen(piece) { // to the language, until there is enough to tell
      if (letters.length > 40 || text.hasAttribute('lang')) return;
      letters += piece;
      page.markLanguage(text, letters);
    }

    function think(piece) {
      if (!thoughts) {
        summary = page.make('summary', {text: page.say('thinking')});
        thinking = page.make('div', {'class': 'thinking', dir: 'auto'});
        thoughts = article.insertBefore(page.make('details', {'class': 'thoughts'}, [summary, thinking]), text);
        thinking = page.drawing(thinking, follow);
      }
      thinking.write(piece);
    }

    function thought() {
      if (!thoughts || record.thought === undefined) return;
      summary.textContent = page.say('thought', {n: Math.max(1, Math.round(record.thought / 1000))});
    }

    function buttons() {
      var copy = page.button('copy', page.say('copy')), once = page.button('again', page.say('again'), acts.again);
      once.setAttribute('data-again', '');
      return page.make('div', {'class': 'actions'}, [
        record.text ? page.copies(copy, function () { return record.text; }) : null,
        record.state === 'failed' ? null : once, // its notice has a button for that
        versions.element
      ]);
    }

    function finish() {
      var notice = page.noticeOf(record, acts), facts = page.drawFacts(record);
      drawing.end();
      if (thinking) thinking.end();
      thought();
      article.setAttribute('aria-busy', 'false');
      if (notice) article.appendChild(notice);
      if (facts) article.appendChild(facts);
      article.appendChild(buttons());
      follow();
    }

    if (record.thoughts) think(record.thoughts);
    if (record.text) {
      listen(record.text);
      drawing.write(record.text);
    }
    thought();
    if (record.state !== 'running') finish();

    return {
      element: item,
      versions: versions,
      text: function (piece) {
        listen(piece);
        thought();
        drawing.write(piece);
      },
      thought: think,
      finish: finish
    };
  };
}(window.MillstreamPage));
