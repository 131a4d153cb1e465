/* Signing in again in mid-session: the form takes the page's place, and nothing that was written is lost. */
(function (page) {
  'use strict';
  var form = null, after = null;

  function post(path, body, done) {
    var request = new XMLHttpRequest();
    request.open('POST', page.root + path);
    request.setRequestHeader('Content-Type', 'application/json');
    request.setRequestHeader('Accept', 'application/json');
    request.onload = function () { done(request.status, Number(request.getResponseHeader('Retry-After')) || 0); };
    request.onerror = function () { done(0, 0); };
    request.send(JSON.stringify(body));
  }

  function back() {
    var then = after;
    page.remove(form);
    form = after = null;
    document.documentElement.classList.remove('signed-out');
    page.composer.focus();
    if (then) then();
  }

  function told(status, wait) {
    if (status === 401) return page.say('bad_key');
    if (status === 429) return page.say('limit', {n: wait || 1});
    return status ? page.say('failed', {why: String(status)}) : page.say('unreachable');
  }

  function draw() {
    var key = page.make('input', {type: 'password', id: 'key', name: 'key', autocomplete: 'current-password', required: true, 'aria-describedby': 'key-error'});
    var error = page.make('p', {id: 'key-error', 'class': 'error', role: 'alert'});
    return page.make('form', {'class': 'relogin', onsubmit: function (event) {
      event.preventDefault();
      if (!key.value) return;
      error.textContent = '';
      post('/login', {key: key.value}, function (status, wait) {
        if (status === 204) return back();
        error.textContent = told(status, wait);
        key.setAttribute('aria-invalid', 'true');
        key.focus();
      });
    }}, [
      page.make('h2', {text: page.say('signin')}),
      page.make('p', {'class': 'out', text: page.say('signed_out')}),
      page.make('p', {text: page.say('signin_why')}),
      page.make('p', {'class': 'key'}, [page.make('label', {'for': 'key', text: page.say('key')}), key]),
      error,
      page.make('input', {type: 'submit', 'class': 'wide', value: page.say('signin')})
    ]);
  }

  page.signin = {
    /** Asks for the key; `then` is called once it is known. */
    ask: function (then) {
      after = then;
      if (form) return;
      page.composer.keep();
      page.offline.forget();
      page.panel.closeAny();
      form = page.thread.element.parentNode.insertBefore(page.make('main', {'class': 'column out'}, [draw()]), page.thread.element);
      document.documentElement.classList.add('signed-out');
      page.speech.alarm(page.say('signed_out'));
      form.querySelector('#key').focus();
    },

    out: function () {
      post('/logout', {}, function () { page.signin.ask(null); });
    }
  };
}(window.MillstreamPage));
