/* The page's words, in the reader's language: the server has put them into the page. */
(function (page) {
  'use strict';
  var words = JSON.parse(document.getElementById('words').textContent);

  /** say('lost', {n: 2}): the words with their blanks filled. */
  page.say = function (key, values) {
    var said = words[key];
    if (said === undefined) throw new Error('There are no words for ' + key + '.');
    return said.replace(/\{(\w+)\}/g, function (blank, name) {
      return values && values[name] !== undefined ? values[name] : blank;
    });
  };

  /** {zh: '简体中文', …} */
  page.languages = JSON.parse(document.getElementById('languages').textContent);

  /** A number with so many digits behind the point, as the language writes it. */
  page.number = function (value, digits) {
    var text = Number(value).toFixed(digits);
    return document.documentElement.lang === 'ru' ? text.replace('.', ',') : text;
  };
}(window.MillstreamPage));
