/* The settings menu. */
(function (page) {
  'use strict';
  var html = document.documentElement;

  /** The browser's own bar takes its colour from the first of these whose `media` matches: light, then dark. */
  function colourBar(name) {
    Array.prototype.forEach.call(document.querySelectorAll('meta[name=theme-color]'), function (meta, n) {
      var mine = n ? 'dark' : 'light';
      meta.setAttribute('media', name === 'auto' ? '(prefers-color-scheme: ' + mine + ')' : name === mine ? 'all' : 'not all');
    });
  }

  function theme() {
    var now = html.getAttribute('data-theme');
    return page.make('fieldset', {}, [page.make('legend', {text: page.say('theme')})].concat(['auto', 'light', 'dark'].map(function (name) {
      return page.make('label', {}, [
        page.make('input', {type: 'radio', name: 'theme', value: name, checked: name === now, onchange: function () {
          html.setAttribute('data-theme', name);
          colourBar(name);
          page.cookie('theme', name);
        }}),
        page.make('span', {text: page.say('theme_' + name)})
      ]);
    })));
  }

  function language() {
    var select = page.make('select', {id: 'language', onchange: function () {
      page.cookie('lang', select.value);
      page.composer.keep();
      location.reload();
    }}, Object.keys(page.languages).map(function (lang) {
      return page.make('option', {value: lang, lang: lang, text: page.languages[lang], selected: lang === html.lang});
    }));
    return page.make('p', {'class': 'line'}, [page.make('label', {'for': 'language', text: page.say('language')}), select]);
  }

  function enter() {
    var check = page.make('input', {type: 'checkbox', checked: page.prefers('enter'), onchange: function () {
      page.prefer('enter', check.checked);
      page.composer.draw();
    }});
    return page.make('label', {'class': 'line'}, [page.make('span', {text: page.say('enter_sends')}), check]);
  }

  function links() {
    var account = page.main.getAttribute('data-signed-in');
    return page.make('p', {'class': 'section links'}, [
      page.make('button', {type: 'button', 'class': 'link', text: page.say('keys'), onclick: page.keylist.open}),
      account ? page.make('a', {href: page.root + '/usage', text: page.say('usage')}) : null,
      account ? page.make('button', {type: 'button', 'class': 'link', text: page.say('signout'), onclick: page.signin.out}) : null
    ]);
  }

  page.settings = {
    begin: function (bar) {
      var button = page.iconButton('settings', page.say('settings')), storage = page.storageMenu();
      var menu = page.make('div', {id: 'settings', 'class': 'panel', role: 'group', 'aria-label': page.say('settings'), hidden: true}, [
        theme(), language(), enter(), page.notify.setting(), storage.element, links()
      ]);
      bar.appendChild(page.make('div', {'class': 'with-panel'}, [button, menu]));
      page.panel(button, menu, function () { return false; }, function (shown) {
        page.show(menu, shown);
        if (shown) storage.tell();
        if (shown) menu.querySelector('input:checked, input').focus();
      });
    }
  };
}(window.MillstreamPage));
