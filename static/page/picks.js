/* Which model and which preset are asked. */
(function (page) {
  'use strict';
  var model = document.getElementById('model');
  var preset = document.getElementById('preset');
  var first = page.thread.element.getAttribute('data-model');

  function chosen() { return preset ? preset.options[preset.selectedIndex] : null; }

  function has(select, value) {
    return !!select && Array.prototype.some.call(select.options, function (option) { return option.value === value; });
  }

  function drop(value) {
    Array.prototype.slice.call(model.options).forEach(function (option) { if (option.value === value) page.remove(option); });
  }

  /** A locked preset brings its own model; others propose one. */
  function follow() {
    var option = chosen(), own = option && option.getAttribute('data-model');
    if (!model) return;
    model.disabled = !!(option && option.getAttribute('data-locked'));
    model.value = [own, page.prefers('model'), first].filter(function (name) { return name && has(model, name); })[0];
  }

  page.picks = {
    begin: function (bar) {
      var name = document.querySelector('.bar .model');
      if (model) {
        bar.appendChild(model.parentNode); // without script it stands in the form
        drop('');
        model.addEventListener('change', function () { page.prefer('model', model.value); });
      } else if (name) {
        bar.appendChild(name);
      }
      if (preset) {
        if (has(preset, page.prefers('preset'))) preset.value = page.prefers('preset');
        preset.addEventListener('change', function () {
          page.prefer('preset', preset.value);
          follow();
        });
      }
      follow();
    },

    /** The fields that a question is sent with. */
    fields: function () {
      var option = chosen(), fields = {};
      if (option) fields.preset = option.value;
      if (model && !model.disabled && model.value) fields.model = model.value;
      return fields;
    }
  };
}(window.MillstreamPage));
