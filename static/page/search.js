/* Search over the titles and texts of all conversations, as one types. */
(function (page) {
  'use strict';
  var PAUSE = 120; // ms
  var BEFORE = 18, AFTER = 80; // letters around a match
  var turns = null, timer = null, hooks = {};
  var field = page.make('input', {type: 'search', id: 'search', placeholder: page.say('search'), 'aria-label': page.say('search'), autocomplete: 'off'});
  var clear = page.iconButton('close', page.say('clear'), function () { leave(); });
  var key = page.make('kbd', {text: page.command + ' K', 'aria-hidden': 'true'});
  var box = page.make('div', {'class': 'search', role: 'search'}, [page.icon('search'), field, key, clear]);
  var results = page.make('div', {'class': 'found', hidden: true});

  /** One line with the match in it, marked. */
  function line(name, text, words) {
    var at = text.toLowerCase().indexOf(words.toLowerCase()), from = Math.max(0, at - BEFORE);
    var element = page.make('span', {'class': name, dir: 'auto'});
    if (at < 0) return page.make('span', {'class': name, dir: 'auto', text: text.slice(0, AFTER)});
    element.appendChild(document.createTextNode((from ? '…' : '') + text.slice(from, at).replace(from ? /^\S*\s|^[\udc00-\udfff]/ : '', '')));
    element.appendChild(page.make('mark', {text: text.slice(at, at + words.length)}));
    element.appendChild(document.createTextNode(text.slice(at + words.length, at + AFTER).replace(/[\ud800-\udbff]$/, '')));
    return element;
  }

  function row(found, words) {
    return page.make('li', {}, [page.make('button', {type: 'button', 'class': 'hit', onclick: function () {
      hooks.open(found.talk.id, found.turn && found.turn.id);
    }}, [line('title', found.talk.title, words), found.turn ? line('where', found.turn.text.replace(/\s+/g, ' '), words.replace(/\s+/g, ' ')) : null])]);
  }

  function find(words) {
    var low = words.toLowerCase(), first = {};
    turns.forEach(function (turn) {
      if (!first[turn.talk] && turn.text.toLowerCase().indexOf(low) >= 0) first[turn.talk] = turn;
    });
    return page.talks.list().filter(function (talk) {
      return first[talk.id] || talk.title.toLowerCase().indexOf(low) >= 0;
    }).map(function (talk) { return {talk: talk, turn: first[talk.id]}; });
  }

  function draw() {
    var words = field.value.trim(), all = words && turns ? find(words) : [];
    page.clear(results);
    page.show(results, !!words);
    page.show(key, !field.value);
    page.show(clear, !!field.value);
    hooks.searching(!!words);
    if (!words || !turns) return;
    results.appendChild(page.make('p', {'class': all.length ? 'count' : 'none', text: all.length ? page.say('found', {n: all.length}) : page.say('nothing_for', {words: words})}));
    if (all.length) results.appendChild(page.make('ul', {role: 'list'}, all.slice(0, 200).map(function (found) { return row(found, words); })));
    else results.appendChild(page.make('p', {text: page.say('nothing_hint')}));
    page.speech.tell(results.firstChild.textContent);
  }

  function typed() {
    clearTimeout(timer);
    timer = setTimeout(function () {
      if (turns || !field.value.trim()) return draw();
      page.archive.turns(null, function (all) {
        turns = all.filter(function (turn) { return turn.text; });
        draw();
      });
    }, PAUSE);
  }

  /** Clears it; what it looked through is read anew the next time. */
  function leave() {
    field.value = '';
    turns = null;
    draw();
    field.focus();
  }

  function pressed(event) {
    var all = Array.prototype.slice.call(results.querySelectorAll('button')), n = all.indexOf(document.activeElement);
    if (event.keyCode === 40 && n + 1 < all.length) all[n + 1].focus();
    else if (event.keyCode === 38 && n > 0) all[n - 1].focus();
    else if (event.keyCode === 38 && n === 0) field.focus();
    else if (event.keyCode === 27 && (field.value || n >= 0)) leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  page.search = {
    box: box,
    results: results,
    field: field,
    /** hooks: open(talk, turn), searching(whether). */
    begin: function (given) {
      hooks = given;
      field.addEventListener('input', typed);
      box.addEventListener('keydown', pressed);
      results.addEventListener('keydown', pressed);
      draw();
    }
  };
}(window.MillstreamPage));
