/* The language that a text's script tells, as millstream/formats/html.py does for the growing page. */
(function (page) {
  'use strict';
  var MOST = 200; // letters that are looked at
  // Kana comes before Han, which Japanese has too.
  var SCRIPTS = [['ja', /[\u3040-\u30ff]/g], ['ko', /[\uac00-\ud7af]/g], ['zh', /[\u3400-\u9fff]/g], ['ru', /[\u0400-\u04ff]/g]];

  /** 'zh', 'ja', 'ko', 'ru', or '' where it tells none. */
  page.languageOf = function (text) {
    var start = text.slice(0, MOST);
    var latin = (start.match(/[A-Za-z]/g) || []).length / 4; // a letter says less than a Chinese character
    var found = SCRIPTS.filter(function (script) { return (start.match(script[1]) || []).length > latin; });
    return found.length ? found[0][0] : '';
  };

  /** Marks an element with the language of its text. */
  page.markLanguage = function (element, text) {
    var lang = page.languageOf(text);
    if (lang) element.setAttribute('lang', lang);
  };
}(window.MillstreamPage));
