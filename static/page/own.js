/* This conversation's own settings: model, preset, system prompt and numbers. They are kept with it as `own`, and count from
   the next question on; what is not set is the server's default. Beside the conversation where there is room, else a drawer. */
(function (page) {
  'use strict';
  var NUMBERS = {temperature: [0, 2], top_p: [0, 1], max_tokens: [1, 1000000]};
  var wide = window.matchMedia ? window.matchMedia('(min-width: 80rem)') : {matches: true};
  var model = document.getElementById('model'), preset = document.getElementById('preset');
  var first = page.main.getAttribute('data-model');
  var blind = JSON.parse(page.main.getAttribute('data-blind') || '[]');
  var fields = {}, notes = {}, own = {}, hooks = {}, panel = null;
  var name = page.make('span', {'class': 'name-of'});
  var button = page.make('button', {type: 'button', id: 'own-button', 'class': 'model', title: page.say('own')}, [name]);
  var drawer = page.make('aside', {id: 'own', 'class': 'own', 'aria-label': page.say('own')});

  function has(select, value) {
    return !!select && Array.prototype.some.call(select.options, function (option) { return option.value === value; });
  }

  function chosen() { return preset ? preset.options[preset.selectedIndex] : null; }

  function isLocked() { return !!(chosen() && chosen().getAttribute('data-locked')); }

  /** A locked preset brings its own model; others propose one. */
  function modelNow() {
    var proposed = chosen() && chosen().getAttribute('data-model');
    return [isLocked() && proposed, own.model, proposed, page.prefers('model'), first].filter(function (name) {
      return name && (has(model, name) || name === proposed || (!model && name === first));
    })[0] || first;
  }

  function note(key) { return page.say(isLocked() ? 'set_by_preset' : key + '_note', {}); }

  /** What the fields show besides what is typed in them. */
  function draw() {
    var locked = isLocked();
    name.textContent = modelNow();
    if (model) {
      model.disabled = locked;
      model.value = modelNow();
    }
    Object.keys(fields).forEach(function (key) {
      fields[key].disabled = locked;
      if (!notes[key].classList.contains('error') || locked) tell(key, note(key), false);
    });
  }

  function tell(key, text, wrong) {
    notes[key].textContent = text;
    notes[key].classList.toggle('error', wrong);
    fields[key].setAttribute('aria-invalid', String(wrong));
  }

  function change(key, value) {
    if (value === '' || value === null) delete own[key];
    else own[key] = value;
    hooks.changed(page.changed(own, {}));
  }

  /** A number takes effect only if it is one; else the last that was stays in force. */
  function typed(key, done) {
    var text = fields[key].value.trim().replace(',', '.'), low = NUMBERS[key][0], high = NUMBERS[key][1];
    var value = Number(text), fits = !text || (value >= low && value <= high && (key !== 'max_tokens' || value % 1 === 0));
    tell(key, fits ? note(key) : page.say('bad_number', {low: low, high: page.number(high, 0)}), !fits);
    if (fits && done) change(key, text ? value : '');
  }

  function row(key, field, style) {
    notes[key] = page.make('p', {id: 'own-' + key + '-note', 'class': 'small'});
    field.id = 'own-' + key;
    field.setAttribute('aria-describedby', notes[key].id);
    fields[key] = field;
    return page.make('div', {'class': style}, [page.make('label', {'for': field.id, text: page.say(key)}), notes[key], field]);
  }

  function select(element, words, key) {
    if (!element) return null;
    element.addEventListener('change', function () {
      change(key, element.value);
      if (!hooks.begun()) page.prefer(key, element.value); // chosen before the first question: for new conversations, too
      draw();
    });
    return page.make('div', {'class': 'row-of'}, [page.make('label', {'for': element.id, text: page.say(words)}), element]);
  }

  function show() {
    var wanted = [own.preset, page.prefers('preset')].filter(function (value) { return has(preset, value); })[0];
    if (preset && wanted !== undefined) preset.value = wanted;
    Object.keys(fields).forEach(function (key) {
      fields[key].value = own[key] === undefined ? '' : own[key];
      tell(key, note(key), false);
    });
    draw();
  }

  function defaults() {
    own = {};
    hooks.changed(null);
    show();
    fields.system.focus();
  }

  function build() {
    var old = [model, preset].filter(Boolean).map(function (element) { return element.parentNode; });
    var done = page.iconButton('close', page.say('close'), function () { panel.close(); });
    var models = select(model, 'model', 'model'), presets = select(preset, 'preset', 'preset');
    old.forEach(page.remove);
    if (model && model.options[0].value === '') page.remove(model.options[0]);
    [page.make('h2', {text: page.say('own')}), done, page.make('p', {'class': 'small', text: page.say('own_kept')}), models, presets,
      row('system', page.make('textarea', {rows: '6', dir: 'auto'}), 'row-of')
    ].concat(Object.keys(NUMBERS).map(function (key) {
      return row(key, page.make('input', {type: 'text', inputmode: 'decimal', autocomplete: 'off', placeholder: page.say('default')}), 'number');
    }), [
      page.make('p', {'class': 'small section', text: page.say('from_next')}),
      page.button(null, page.say('defaults'), defaults, 'outline')
    ]).forEach(function (element) { if (element) drawer.appendChild(element); });
    fields.system.addEventListener('input', function () { change('system', fields.system.value); });
    Object.keys(NUMBERS).forEach(function (key) {
      fields[key].addEventListener('input', function () { typed(key, false); });
      fields[key].addEventListener('change', function () { typed(key, true); });
    });
  }

  page.own = {
    /** hooks: changed(own), begun() → whether the conversation has turns. */
    begin: function (bar, given) {
      hooks = given;
      page.remove(document.querySelector('.bar > .model'));
      build();
      bar.appendChild(button);
      page.main.parentNode.insertBefore(drawer, page.main.nextSibling);
      panel = page.panel(button, drawer, function () { return !wide.matches; }, function (shown) {
        drawer.classList.toggle('open', shown);
        document.documentElement.classList.toggle('with-own', shown);
        if (shown) drawer.querySelector('select:not([disabled]), textarea:not([disabled])').focus();
        page.scrolling.follow();
      });
      panel.stays = function () { return wide.matches; };
      show();
    },

    /** Shows the settings of a conversation. */
    open: function (given) {
      own = page.changed(given || {}, {});
      show();
    },

    /** To the choice of a model. */
    choose: function () { panel.open(); },

    model: modelNow,

    /** Whether this model, or else the one that is chosen, is known to see no pictures. */
    isBlind: function (name) { return blind.indexOf(name || modelNow()) >= 0; },

    /** Whether there is another model to choose. */
    canChoose: function () { return !!model && !model.disabled; },

    /** The fields that a question is sent with. */
    fields: function () {
      var asked = {}, option = chosen();
      if (option) asked.preset = option.value;
      if (isLocked()) return asked;
      if (model && model.value) asked.model = model.value;
      Object.keys(fields).forEach(function (key) { if (own[key] !== undefined) asked[key] = own[key]; });
      return asked;
    }
  };
}(window.MillstreamPage));
