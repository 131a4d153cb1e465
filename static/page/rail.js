/* The list of conversations: at the left where there is room, else a drawer. */
(function (page) {
  'use strict';
  var DAY = 86400000; // ms
  var list = page.make('div', {'class': 'talks'});
  var foot = page.make('div', {'class': 'kept'});
  var rail = page.make('nav', {id: 'rail', 'class': 'rail', 'aria-label': page.say('conversations')});
  var shade = page.make('div', {'class': 'shade', hidden: true});
  var hooks = {}, panel = null;

  function group(at) {
    var midnight = new Date().setHours(0, 0, 0, 0);
    if (at >= midnight) return 'today';
    return at >= midnight - 6 * DAY ? 'week' : 'older';
  }

  function remove(talk) {
    var back = page.talks.remove([talk.id]);
    hooks.removed([talk.id]);
    draw();
    page.undo.offer(rail, page.say('deleted'), function () { back(draw); });
    rail.querySelector('.new').focus();
  }

  function item(talk) {
    var open = page.make('button', {type: 'button', 'class': 'talk', text: talk.title, onclick: function () {
      panel.close();
      hooks.open(talk.id);
    }});
    if (talk.id === hooks.current()) open.setAttribute('aria-current', 'true');
    page.markLanguage(open, talk.title);
    return page.make('li', {}, [open,
      page.iconButton('close', page.say('delete_this', {title: talk.title}), function () { remove(talk); })]);
  }

  var asking = false, drawn = '';

  function drawFoot(asks) {
    var all = page.talks.list();
    asking = asks;
    page.clear(foot);
    if (asks) {
      foot.appendChild(page.make('p', {text: page.say('sure_all')}));
      foot.appendChild(page.make('p', {'class': 'answers'}, [
        page.button(null, page.say('delete'), removeAll, 'outline danger'),
        page.button(null, page.say('cancel'), function () { drawFoot(false); focusFoot(); }, 'outline')
      ]));
      focusFoot();
      return;
    }
    foot.appendChild(page.make('p', {}, [
      page.make('span', {text: page.say(page.archive.lasts() ? 'kept' : page.archive.isFull() ? 'storage_full' : 'not_kept') + ' '}),
      all.length ? page.make('button', {type: 'button', 'class': 'link', text: page.say('delete_all'), onclick: function () { drawFoot(true); }}) : null
    ]));
  }

  function focusFoot() {
    var button = foot.querySelector('button');
    if (button) button.focus();
  }

  function removeAll() {
    var ids = page.talks.list().map(function (talk) { return talk.id; });
    asking = false;
    var back = page.talks.remove(ids);
    hooks.removed(ids);
    draw();
    page.undo.offer(rail, page.say('deleted'), function () { back(draw); });
    rail.querySelector('.new').focus();
  }

  function draw() {
    var groups = {today: [], week: [], older: []};
    var now = JSON.stringify([page.talks.list(), hooks.current(), page.archive.lasts(), new Date().getDate()]);
    if (now === drawn) return; // a button that is about to be pressed stays
    drawn = now;
    page.talks.list().forEach(function (talk) { groups[group(talk.at)].push(talk); });
    page.clear(list);
    ['today', 'week', 'older'].forEach(function (name) {
      if (!groups[name].length) return;
      list.appendChild(page.make('h2', {text: page.say(name)}));
      list.appendChild(page.make('ul', {role: 'list'}, groups[name].map(item)));
    });
    if (!asking) drawFoot(false);
  }

  function covers() { return window.getComputedStyle(menu).display !== 'none'; }

  var menu = page.iconButton('menu', page.say('conversations'), null, {'class': 'tool menu'});

  page.rail = {
    /** hooks: current() → id, open(id), fresh(), removed(ids). */
    begin: function (bar, given) {
      hooks = given;
      rail.appendChild(page.button('plus', page.say('new'), function () {
        panel.close();
        hooks.fresh();
      }, 'outline new'));
      rail.appendChild(list);
      rail.appendChild(foot);
      bar.insertBefore(menu, bar.firstChild);
      bar.parentNode.insertBefore(rail, bar.nextSibling);
      document.body.appendChild(shade);
      panel = page.panel(menu, rail, covers, function (shown) {
        rail.classList.toggle('open', shown);
        page.show(shade, shown);
        if (shown) rail.querySelector('.new').focus();
      });
      page.archive.onchange = draw;
      draw();
    },
    draw: draw
  };
}(window.MillstreamPage));
