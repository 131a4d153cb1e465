/* What a question carries, in its bubble: pictures and files; either can be looked at. */
(function (page) {
  'use strict';

  function look(file) {
    if (file.content === null) return;
    page.sheet.open(file.name, file.type === 'image'
      ? page.make('p', {'class': 'whole'}, [page.picture(file.content, file.name)])
      : page.make('pre', {tabindex: '0', dir: 'auto', text: file.content}), 'wide');
  }

  /** Fills `element` with them, once they are read. */
  page.drawCarried = function (element, files) {
    page.attachments.load(files, function (found) {
      found.forEach(function (file) {
        var shown = file.type === 'image' && file.content ? page.picture(file.content, file.name) : null;
        var button = page.make('button', {type: 'button', 'class': shown ? 'shot' : 'paper', onclick: function () { look(file); }, title: page.say('show', {name: file.name})},
          shown ? [shown] : [page.icon('file'), page.make('span', {'class': 'file-name', dir: 'auto', text: file.name}), page.make('span', {'class': 'small', text: page.size(file.size)})]);
        if (shown && file.width) {
          shown.setAttribute('width', file.width);
          shown.setAttribute('height', file.height);
        }
        element.appendChild(button);
      });
      page.scrolling.follow();
    });
  };
}(window.MillstreamPage));
