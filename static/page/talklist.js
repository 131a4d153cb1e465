/* The list of conversations: pinned ones, then by days. Rows can be renamed, pinned, exported and deleted. */
(function (page) {
  'use strict';
  var DAY = 86400000; // ms
  var GROUPS = ['pinned', 'today', 'week', 'older'];
  var list = page.make('div', {'class': 'talks'});
  var hooks = {}, drawn = '', naming = null;

  function group(talk) {
    var midnight = new Date().setHours(0, 0, 0, 0);
    if (talk.pinned) return 'pinned';
    if (talk.at >= midnight) return 'today';
    return talk.at >= midnight - 6 * DAY ? 'week' : 'older';
  }

  /** The row's button, wherever it is drawn now. */
  function focus(id) {
    var row = list.querySelector('[data-id="' + id + '"]');
    if (row) row.querySelector('.talk').focus();
  }

  function rename(talk, row) {
    var field = page.make('input', {type: 'text', 'class': 'naming', 'aria-label': page.say('title'), maxlength: '200'});
    function done(keep) {
      if (naming !== field) return;
      naming = null;
      drawn = '';
      if (keep) page.talks.rename(talk.id, field.value.trim(), function () {
        draw();
        page.title.draw();
      });
      draw();
      focus(talk.id);
    }
    naming = field;
    field.value = talk.title;
    page.clear(row);
    row.appendChild(field);
    field.addEventListener('keydown', function (event) {
      if (event.keyCode === 229 || (event.keyCode !== 13 && event.keyCode !== 27)) return;
      event.preventDefault();
      event.stopPropagation();
      done(event.keyCode === 13);
    });
    field.addEventListener('blur', function () { done(true); });
    field.focus();
    field.select();
  }

  function pin(talk) {
    page.talks.set(talk.id, {pinned: talk.pinned ? null : true});
    draw();
    focus(talk.id);
  }

  function menu(talk, row, button) {
    page.menu.open(button, page.say('more', {title: talk.title}), [
      {text: page.say('rename'), key: 'F2', act: function () { rename(talk, row); }},
      {text: page.say(talk.pinned ? 'unpin' : 'pin'), act: function () { pin(talk); }}
    ].concat(page.canExport ? [
      {text: page.say('export_md'), act: function () { page.exportMarkdown(talk.id); }},
      {text: page.say('export_json'), act: function () { page.exportJson([talk.id]); }}
    ] : [], [null, {text: page.say('delete'), key: 'Del', danger: true, act: function () { hooks.remove(talk); }}]));
  }

  function item(talk) {
    var open = page.make('button', {type: 'button', 'class': 'talk', text: talk.title, onclick: function () { hooks.open(talk.id); }});
    var more = page.iconButton('more', page.say('more', {title: talk.title}), function () { menu(talk, row, more); }, {'aria-haspopup': 'menu', 'aria-expanded': 'false'});
    var row = page.make('li', {'data-id': talk.id}, [open, more]);
    if (talk.id === hooks.current()) open.setAttribute('aria-current', 'true');
    page.markLanguage(open, talk.title);
    open.addEventListener('keydown', function (event) {
      if (event.keyCode === 113) rename(talk, row); // F2
      else if (event.keyCode === 46) hooks.remove(talk); // Del
      else return;
      event.preventDefault();
    });
    return row;
  }

  function draw() {
    var groups = {}, kept = page.talks.list();
    var now = JSON.stringify([kept, hooks.current(), new Date().getDate()]);
    if (naming || (now === drawn && list.firstChild)) return; // a button that is about to be pressed stays
    drawn = now;
    var focused = list.contains(document.activeElement) && document.activeElement.parentNode.getAttribute('data-id');
    page.clear(list);
    kept.forEach(function (talk) { (groups[group(talk)] = groups[group(talk)] || []).push(talk); });
    GROUPS.forEach(function (name) {
      if (!groups[name]) return;
      list.appendChild(page.make('h2', {text: page.say(name)}));
      list.appendChild(page.make('ul', {role: 'list'}, groups[name].map(item)));
    });
    if (focused) focus(focused);
  }

  page.talklist = {
    element: list,
    /** hooks: current() → id, open(id), remove(talk). */
    begin: function (given) { hooks = given; },
    draw: draw
  };
}(window.MillstreamPage));
