/* Beside the conversation, where there is room, else a drawer: search, the conversations, and where they are kept. */
(function (page) {
  'use strict';
  var foot = page.make('div', {'class': 'kept'});
  var rail = page.make('nav', {id: 'rail', 'class': 'rail', 'aria-label': page.say('conversations')});
  var shade = page.make('div', {'class': 'shade', hidden: true});
  var menu = page.iconButton('menu', page.say('conversations'), null, {'class': 'tool menu'});
  var hooks = {}, panel = null, asking = false, drawn = '', warned = null;

  function undo(back) {
    draw();
    page.undo.offer(rail, page.say('deleted'), function () { back(draw); });
    rail.querySelector('.new').focus();
  }

  function remove(ids) {
    var back = page.talks.remove(ids);
    hooks.removed(ids);
    undo(back);
  }

  function open(id, turn) {
    panel.close();
    hooks.open(id, turn);
  }

  function drawFoot(asks) {
    var all = page.talks.list(), full = page.archive.isFull();
    asking = asks;
    page.clear(foot);
    if (asks) {
      foot.appendChild(page.make('p', {text: page.say('sure_all')}));
      foot.appendChild(page.make('p', {'class': 'answers'}, [
        page.button(null, page.say('delete'), function () {
          asking = false;
          remove(all.map(function (talk) { return talk.id; }));
        }, 'outline danger'),
        page.button(null, page.say('cancel'), function () { drawFoot(false); focusFoot(); }, 'outline')
      ]));
      focusFoot();
      return;
    }
    foot.appendChild(page.make('p', {'class': full ? 'warned' : ''}, [
      page.make('span', {text: page.say(page.archive.lasts() ? 'kept' : full ? 'storage_full' : 'not_kept') + ' '}),
      all.length ? page.make('button', {type: 'button', 'class': 'link', text: page.say('delete_all'), onclick: function () { drawFoot(true); }}) : null
    ]));
    if (full && page.canExport) foot.appendChild(page.button(null, page.say('export_all'), function () { page.exportJson(null); }, 'outline'));
  }

  /** Once, where the rail is out of sight. */
  function warn() {
    if (warned || !page.archive.isFull() || !covers()) return;
    warned = page.make('p', {'class': 'undo warned', role: 'alert'}, [page.make('span', {text: page.say('storage_full')}),
      page.make('button', {type: 'button', 'class': 'link', text: page.say('close'), onclick: function () {
        page.remove(warned);
        page.composer.focus();
      }})]);
    page.composer.form.insertBefore(warned, page.composer.form.firstChild);
  }

  function focusFoot() {
    var button = foot.querySelector('button');
    if (button) button.focus();
  }

  function draw() {
    var now = [page.talks.list().length, page.archive.lasts(), page.archive.isFull()].join();
    page.talklist.draw();
    warn();
    if (asking || now === drawn) return;
    drawn = now;
    drawFoot(false);
  }

  function covers() { return window.getComputedStyle(menu).display !== 'none'; }

  page.rail = {
    /** hooks: current() → id, open(id, turn), fresh(), removed(ids). */
    begin: function (bar, given) {
      hooks = given;
      page.talklist.begin({current: hooks.current, open: open, remove: function (talk) { remove([talk.id]); }});
      rail.appendChild(page.search.box);
      rail.appendChild(page.button('plus', page.say('new'), function () {
        panel.close();
        hooks.fresh();
      }, 'outline new'));
      rail.appendChild(page.search.results);
      rail.appendChild(page.talklist.element);
      rail.appendChild(foot);
      bar.insertBefore(menu, bar.firstChild);
      bar.parentNode.insertBefore(rail, bar.nextSibling);
      document.body.appendChild(shade);
      panel = page.panel(menu, rail, covers, function (shown) {
        rail.classList.toggle('open', shown);
        page.show(shade, shown);
        if (shown) rail.querySelector('.new').focus();
      });
      page.search.begin({open: open, searching: function (on) { page.show(page.talklist.element, !on); }});
      page.archive.onchange = draw;
      draw();
    },

    /** To the search field. */
    search: function () {
      if (covers() && !panel.isOpen()) panel.open();
      page.search.field.focus();
      page.search.field.select();
    },
    draw: draw
  };
}(window.MillstreamPage));
