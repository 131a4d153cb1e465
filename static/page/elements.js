/* DOM elements. Text goes in as text only. */
(function (page) {
  'use strict';

  /**
   * make('p', {'class': 'small', text: 'Hi', onclick: f}, [children]): an attribute that is null or false is left out.
   * Children may be null.
   */
  page.make = function (name, attributes, children) {
    var element = document.createElement(name);
    Object.keys(attributes || {}).forEach(function (key) {
      var value = attributes[key];
      if (value === null || value === undefined || value === false) return;
      if (key === 'text') element.textContent = value;
      else if (typeof value === 'function') element.addEventListener(key.slice(2), value);
      else element.setAttribute(key, value === true ? '' : value);
    });
    (children || []).forEach(function (child) { if (child) element.appendChild(child); });
    return element;
  };

  page.remove = function (element) {
    if (element && element.parentNode) element.parentNode.removeChild(element);
  };

  page.clear = function (element) {
    while (element.firstChild) element.removeChild(element.firstChild);
  };

  /** The key that commands begin with. */
  page.command = /Mac|iPhone|iPad/.test(navigator.platform) ? '⌘' : 'Ctrl';

  /** `element.hidden` where that is only an attribute. */
  page.show = function (element, shown) {
    if (shown) element.removeAttribute('hidden');
    else element.setAttribute('hidden', '');
  };
}(window.MillstreamPage));
