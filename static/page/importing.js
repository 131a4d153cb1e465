/* Conversations out of files: what exporting.js has written, or messages as OpenAI's API takes them. A file may come from
   anywhere: only fields that are known, of the right kind, are taken, and nothing that leads to an address. */
(function (page) {
  'use strict';
  var NUMBERS = ['made', 'asked', 'first', 'took', 'came', 'tokens', 'rate', 'thought', 'ended', 'base'];
  var TEXTS = ['model', 'cost', 'currency', 'finish', 'transport'];
  var PICTURE = /^data:image\/(png|jpeg|webp|gif);base64,[A-Za-z0-9+\/=]*$/;

  function isId(value) { return typeof value === 'string' && /^[\w.-]{1,64}$/.test(value); }

  function isObject(value) { return !!value && typeof value === 'object' && !Array.isArray(value); }

  function text(value, most) { return typeof value === 'string' ? value.slice(0, most || value.length) : ''; }

  function take(from, to, names, fits) {
    names.forEach(function (name) { if (fits(from[name])) to[name] = from[name]; });
    return to;
  }

  function isNumber(value) { return typeof value === 'number' && isFinite(value); }

  function isShort(value) { return typeof value === 'string' && value.length <= 200; }

  function own(given) {
    if (!isObject(given)) return null;
    var found = take(given, {}, ['temperature', 'top_p', 'max_tokens'], isNumber);
    take(given, found, ['model', 'preset'], isShort);
    if (text(given.system)) found.system = given.system;
    return found;
  }

  /** A file that a question carries, into `files`; {id, name, …} for the turn. */
  function file(given, talk, files) {
    var id = page.newId(), picture = PICTURE.test(given.content);
    if (!isObject(given) || typeof given.content !== 'string' || (!picture && /^data:/.test(given.content))) return null;
    files.push({id: id, talk: talk, content: given.content});
    return take(given, {id: id, name: text(given.name, 200) || 'file', type: picture ? 'image' : 'text', size: given.content.length}, ['width', 'height'], isNumber);
  }

  function turn(given, talk, files) {
    if (!isObject(given) || typeof given.text !== 'string' || ['user', 'assistant'].indexOf(given.role) < 0) return null;
    var found = take(given, {role: given.role, text: given.text, talk: talk}, NUMBERS, isNumber);
    take(given, found, TEXTS, isShort);
    found.id = isId(given.id) ? given.id : page.newId();
    found.parent = isId(given.parent) ? given.parent : null;
    found.made = found.made || Date.now();
    if (given.role === 'user') {
      if (Array.isArray(given.files)) found.files = given.files.map(function (one) { return file(one || {}, talk, files); }).filter(Boolean);
      return found;
    }
    found.state = ['done', 'failed'].indexOf(given.state) >= 0 ? given.state : 'stopped';
    found.about = given.about === true;
    if (text(given.thoughts)) found.thoughts = given.thoughts;
    if (found.state === 'failed') found.failure = {message: text((given.failure || {}).message, 1000), code: text((given.failure || {}).code, 60)};
    return found;
  }

  /** One of our own, as a change for the archive. */
  function conversation(given) {
    var files = [], id, turns;
    if (!isObject(given) || !Array.isArray(given.turns)) return null;
    id = isId(given.id) ? given.id : page.newId();
    turns = given.turns.map(function (one) { return turn(one, id, files); }).filter(Boolean);
    if (!turns.length) return null;
    return {talk: id, turns: turns, files: files, set: {
      title: page.shortened(text(given.title, 1000)) || page.shortened(turns[0].text) || '…', named: given.named === true ? true : null,
      at: isNumber(given.at) ? given.at : Date.now(), pinned: given.pinned === true ? true : null, own: own(given.own),
      tip: isId(given.tip) ? given.tip : turns[turns.length - 1].id, gone: null
    }};
  }

  function parts(content) {
    var said = [], files = [];
    if (typeof content === 'string') return {text: content, files: files};
    (Array.isArray(content) ? content : []).forEach(function (part) {
      var url = isObject(part) && part.type === 'image_url' && isObject(part.image_url) ? text(part.image_url.url) : '';
      if (isObject(part) && part.type === 'text' && typeof part.text === 'string') said.push(part.text);
      else if (PICTURE.test(url)) files.push({name: 'image', content: url});
      else if (url) said.push('[' + url.slice(0, 200) + ']');
    });
    return {text: said.join('\n\n'), files: files};
  }

  /** OpenAI's messages, the same way. */
  function messages(list) {
    var turns = [], system = [], parent = null, now = Date.now();
    list.forEach(function (message, n) {
      var content = isObject(message) ? parts(message.content) : {text: '', files: []};
      if (!isObject(message) || (!content.text && !content.files.length)) return;
      if (message.role === 'system' || message.role === 'developer') return system.push(content.text);
      var id = page.newId() + n;
      turns.push({id: id, parent: parent, role: message.role, text: content.text, files: content.files, made: now + n, state: 'done'});
      parent = id;
    });
    return conversation({turns: turns, own: {system: system.join('\n\n')}});
  }

  function isMessage(value) { return isObject(value) && typeof value.role === 'string' && 'content' in value; }

  function changes(document) {
    var list = Array.isArray(document) ? document : [document];
    if (isObject(document) && Array.isArray(document.conversations)) return document.conversations.map(conversation);
    if (list.length && list.every(isMessage)) return [messages(list)];
    return list.map(function (one) { return isObject(one) && Array.isArray(one.messages) ? messages(one.messages) : conversation(one); });
  }

  /** Only what is not here yet: a file must not change what was said. */
  function write(change, then) {
    page.archive.turns(change.talk, function (kept) {
      var known = {};
      kept.forEach(function (turn) { known[turn.id] = true; });
      change.turns = change.turns.filter(function (turn) { return !known[turn.id]; });
      change.files = change.files.filter(function (file) {
        return change.turns.some(function (turn) { return (turn.files || []).some(function (one) { return one.id === file.id; }); });
      });
      page.archive.write(change, then);
    });
  }

  /** Reads a file's text; `then(number of conversations)`, 0 where it holds none. */
  page.importText = function (said, then) {
    var found = [], count = 0;
    try {
      found = changes(JSON.parse(said.replace(/^\ufeff/, ''))).filter(Boolean);
    } catch (error) { /* not JSON */ }
    (function next() {
      var change = found.shift();
      if (!change) return page.talks.refresh(function () { then(count); });
      count++;
      write(change, next);
    }());
  };
}(window.MillstreamPage));
