// Runs in PhantomJS: a page, led over HTTP by browsers.py. `{"get": url}` answers when the page has loaded,
// `{"size": [width, height]}` resizes it, `{"run": script, "arguments": […]}` with what the script returns.
var system = require('system'), fs = require('fs'), server = require('webserver').create(), page = require('webpage').create();
var errors = [];

page.viewportSize = {width: 1280, height: 900};
page.onError = function (message, trace) { errors.push(message + ' ' + JSON.stringify(trace)); };

function wrap(script, list) {
  return 'function () { try { return JSON.stringify({value: (function () {' + script + '\n}).apply(null, ' +
    JSON.stringify(list) + ')}); } catch (error) { return JSON.stringify({error: String(error)}); } }';
}

server.listen('127.0.0.1:' + system.args[1], function (request, response) {
  var command = JSON.parse(request.post);
  function answer(text) {
    response.statusCode = 200;
    response.setEncoding('utf-8');
    response.write(text);
    response.close();
  }
  function open(url, more) { // the loads that it breaks off may end as this one, with a failure
    page.open(url, function (status) {
      if (status === 'success') answer('{}');
      else if (more) open(url, more - 1);
      else answer(JSON.stringify({error: status}));
    });
  }
  if (command.get) {
    open(command.get, 1);
  } else if (command.size) {
    page.viewportSize = {width: command.size[0], height: command.size[1]};
    answer('{}');
  } else if (errors.length) {
    answer(JSON.stringify({error: errors.splice(0).join('\n')}));
  } else {
    answer(page.evaluateJavaScript(wrap(command.run, command.arguments)));
  }
});
fs.write(system.args[2] + '/ready', 'yes', 'w');
