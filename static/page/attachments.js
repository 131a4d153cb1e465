/* Files and pictures that go with the next question: chosen, pasted or dropped; chips above the text. */
(function (page) {
  'use strict';
  var most = (Number(page.main.getAttribute('data-max-body')) || 1000000) * 0.9; // letters in all: JSON needs the rest
  var list = [], shown = [], waiting = [], hooks = {}, reading = false;
  var chips = page.make('ul', {'class': 'chips', role: 'list', 'aria-label': page.say('attached'), hidden: true});
  var picker = page.make('input', {type: 'file', multiple: true, 'class': 'quiet', tabindex: '-1', 'aria-hidden': 'true', onchange: function () {
    add(picker.files);
    picker.value = '';
  }});
  var button = page.iconButton('attach', page.say('attach'), function () { picker.click(); }, {'class': 'tool attach'});
  var drop = page.make('p', {'class': 'drop', text: page.say('drop'), 'aria-hidden': 'true'});

  function taken() { return list.reduce(function (sum, file) { return sum + file.content.length; }, 0); }

  function remove(file) {
    var n = list.indexOf(file), next;
    list.splice(n, 1);
    draw();
    next = chips.querySelectorAll('button.tool')[n];
    if (next) next.focus();
    else hooks.box.focus();
  }

  function chip(file) {
    var small = (file.width ? file.width + ' × ' + file.height + ', ' : '') + page.size(file.size);
    return page.make('li', {'class': 'chip'}, [
      page.make('span', {'class': 'thumb'}, [file.type === 'image' ? page.picture(file.content, '') : page.icon('file')]),
      page.make('span', {'class': 'about'}, [page.make('span', {'class': 'file-name', dir: 'auto', text: file.name}), page.make('span', {'class': 'small', text: small})]),
      page.iconButton('close', page.say('remove', {name: file.name}), function () { remove(file); })
    ]);
  }

  /** What is drawn stays: each picture would be decoded anew. */
  function draw() {
    shown.filter(function (item) { return list.indexOf(item.file) < 0; }).forEach(function (item) { page.remove(item.element); });
    shown = list.map(function (file) {
      return shown.filter(function (item) { return item.file === file; })[0] || {file: file, element: chip(file)};
    });
    shown.forEach(function (item) { if (!item.element.parentNode) chips.appendChild(item.element); });
    page.show(chips, list.length > 0);
    hooks.changed();
  }

  function refuse(name, why, limit) { page.stateline.hint(page.say(why, {name: name, size: page.size(limit || 0)})); }

  /** One after the other, so that they keep their order and memory holds one at a time. */
  function add(files) {
    Array.prototype.slice.call(files).forEach(function (file) { waiting.push(file); });
    if (!reading) next();
  }

  function next() {
    var file = waiting.shift();
    if (!file) return hooks.changed();
    reading = true;
    page.readFile(file, most / 4, function (found, why, limit) {
      reading = false;
      if (!found) refuse(file.name, why, limit);
      else if (taken() + found.content.length > most) refuse(file.name, 'too_big', Math.max(0, most - taken()));
      else list.push(found);
      draw();
      next();
    });
  }

  function carriesFiles(event) {
    var types = event.dataTransfer && event.dataTransfer.types;
    return !!types && Array.prototype.indexOf.call(types, 'Files') >= 0;
  }

  /** A file that is dropped beside the box must not take the page's place. */
  function listen() {
    var leaving = null;
    function over(event) {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      clearTimeout(leaving);
      leaving = setTimeout(function () { hooks.form.classList.remove('dropping'); }, 300); // it comes every 50 ms, up to 350 in Firefox
      hooks.form.classList.add('dropping');
    }
    document.addEventListener('dragenter', over);
    document.addEventListener('dragover', over);
    document.addEventListener('drop', function (event) {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      hooks.form.classList.remove('dropping');
      add(event.dataTransfer.files);
    });
    hooks.box.addEventListener('paste', function (event) {
      var data = event.clipboardData, text = data && data.getData && data.getData('text/plain');
      if (!data || !data.files || !data.files.length || text) return; // a word processor gives a picture of its text, too
      event.preventDefault();
      add(data.files);
    });
  }

  page.attachments = {
    /** hooks: form, box, row, changed(). */
    begin: function (given) {
      hooks = given;
      if (!page.canRead) return;
      hooks.row.insertBefore(button, hooks.row.firstChild);
      hooks.row.appendChild(picker);
      hooks.box.parentNode.parentNode.insertBefore(chips, hooks.box.parentNode);
      hooks.box.parentNode.parentNode.appendChild(drop);
      listen();
    },

    /** What goes with the question, {name, type, size, content, …}; `put` replaces it. */
    list: function () { return list; },
    put: function (files) {
      list = files.slice();
      draw();
    },
    isReading: function () { return reading; },

    /** With ids for the archive: {files: for the turn, contents: for the archive}. */
    split: function (talk, files) {
      var split = {files: [], contents: []};
      files.forEach(function (file) {
        var id = page.newId();
        split.files.push(page.changed(file, {id: id, content: null, draft: null}));
        split.contents.push({id: id, talk: talk, content: file.content});
      });
      return split;
    },

    /** `then(files)` with their contents; null where one is no longer there. */
    load: function (files, then) {
      var found = [], left = (files || []).slice();
      (function next() {
        var file = left.shift();
        if (!file) return then(found);
        page.archive.file(file.id, function (kept) {
          var whole = page.changed(file, {});
          whole.content = kept ? kept.content : null;
          found.push(whole);
          next();
        });
      }());
    }
  };
}(window.MillstreamPage));
