/* Files → what a question can carry: text, or a picture that is small enough. {name, type: 'text|image', size, width, height,
   content}; content is the text, or a data: URL. A picture is drawn anew, so nothing else of its file (place, camera) goes out. */
(function (page) {
  'use strict';
  var SIDE = 2048; // px
  var TEXT = 2000000; // bytes
  var PLAIN = /^data:image\/png/;
  var OTHERS = {zh: 'gb18030', ru: 'windows-1251', en: 'windows-1252'}; // where it is no UTF-8
  var PNG = 1.5; // times the size of a JPEG that a drawing may have, for sharp letters

  /** Whether this browser can. */
  page.canRead = !!(window.FileReader && window.Blob && window.URL && window.URL.createObjectURL && window.Uint8Array);

  function decode(bytes) {
    var mark = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : '', n;
    if (!window.TextDecoder) return null;
    if (mark) return new window.TextDecoder(mark).decode(bytes);
    for (n = 0; n < Math.min(bytes.length, 8192); n++) if (!bytes[n]) return null; // no text has it
    try {
      return new window.TextDecoder('utf-8', {fatal: true}).decode(bytes);
    } catch (error) {
      return new window.TextDecoder(OTHERS[document.documentElement.lang] || OTHERS.en).decode(bytes);
    }
  }

  /** Without TextDecoder (Edge before 79, old WebKits) the reader decodes, as UTF-8. */
  function readText(file, then) {
    var reader = new window.FileReader();
    reader.onerror = function () { then(null, 'not_text'); };
    reader.onload = function () {
      var text = window.TextDecoder ? decode(new window.Uint8Array(reader.result)) : reader.result;
      if (text === null || text.indexOf('\u0000') >= 0) return then(null, 'not_text');
      then({name: file.name || 'text.txt', type: 'text', size: file.size, content: text.replace(/\r\n?/g, '\n')});
    };
    if (file.size > TEXT) return then(null, 'too_big', TEXT);
    if (window.TextDecoder) reader.readAsArrayBuffer(file);
    else reader.readAsText(file);
  }

  function drawn(image, scale) {
    var canvas = document.createElement('canvas'), pen = canvas.getContext('2d');
    canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
    canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
    pen.fillStyle = '#fff'; // JPEG has no transparency
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  function readPicture(file, most, then) {
    var image = new window.Image(), url = window.URL.createObjectURL(file);
    image.onerror = function () {
      window.URL.revokeObjectURL(url);
      if (/svg/.test(file.type)) readText(file, then);
      else then(null, 'not_text');
    };
    image.onload = function () {
      var scale = Math.min(1, SIDE / Math.max(image.naturalWidth, image.naturalHeight)), canvas, content, png;
      do {
        canvas = drawn(image, scale);
        content = canvas.toDataURL('image/jpeg', 0.85);
        png = file.type === 'image/png' ? canvas.toDataURL('image/png') : '';
        if (PLAIN.test(png) && png.length < PNG * content.length) content = png;
        scale /= 2;
      } while (content.length > most && canvas.width > 64);
      window.URL.revokeObjectURL(url);
      then({name: file.name || 'image.png', type: 'image', size: Math.round(content.length * 0.75), width: canvas.width, height: canvas.height, content: content});
    };
    image.src = url;
  }

  /** `then(file)`, or `then(null, why, limit)`; `most` is the longest content of a picture. */
  page.readFile = function (file, most, then) {
    if (/^image\//.test(file.type) && !/svg/.test(file.type)) readPicture(file, most, then);
    else readText(file, then);
  };

  /** A picture's address inside the page. The policy allows blob: and not data:. */
  page.pictureUrl = function (content) {
    var found = /^data:(image\/\w+);base64,(.*)$/.exec(content), binary, bytes, n;
    if (!found) return null;
    try {
      binary = window.atob(found[2]);
    } catch (error) { return null; } // out of an imported file
    bytes = new window.Uint8Array(binary.length);
    for (n = 0; n < binary.length; n++) bytes[n] = binary.charCodeAt(n);
    return window.URL.createObjectURL(new window.Blob([bytes], {type: found[1]}));
  };

  /** An image element of it; its memory is given back once it has been drawn. */
  page.picture = function (content, name) {
    var url = page.pictureUrl(content), image = page.make('img', {alt: name, src: url});
    function free() { window.URL.revokeObjectURL(url); }
    image.onload = free;
    image.onerror = free;
    return image;
  };
}(window.MillstreamPage));
