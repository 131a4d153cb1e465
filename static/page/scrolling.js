/* Following the answer's end. Whoever moves up is let go at once, by what they do (wheel, finger, key, selection) and
   not by where the page stands: that alone would race with the text. */
(function (page) {
  'use strict';
  var NEAR = 64; // px
  var stuck = true, top = 0, touched = 0, pill = null, fresh = false;

  function distance() { return document.documentElement.scrollHeight - window.pageYOffset - window.innerHeight; }

  function draw() { if (pill) page.show(pill, fresh && !stuck); }

  function letGo() {
    if (distance() <= 0 && window.pageYOffset <= 0) return; // there is nothing to scroll
    stuck = false;
    draw();
  }

  function stick() {
    stuck = true;
    fresh = false;
    draw();
    page.scrolling.follow();
  }

  function moved() {
    var now = window.pageYOffset;
    if (!stuck && now > top && distance() <= NEAR) stick();
    else if (stuck && now < top && distance() > NEAR) letGo(); // the scroll bar
    top = now;
  }

  function pressed(event) {
    var inField = /^(textarea|input|select)$/i.test(event.target.tagName);
    if (!inField && ['PageUp', 'ArrowUp', 'Up', 'Home'].indexOf(event.key) >= 0) letGo();
  }

  function selected() {
    var selection = window.getSelection();
    if (selection && !selection.isCollapsed && page.thread.element.contains(selection.anchorNode)) letGo();
  }

  page.scrolling = {
    begin: function (dock) {
      pill = page.button('down', page.say('new_below'), stick, 'pill');
      dock.insertBefore(pill, dock.firstChild);
      draw();
      window.addEventListener('scroll', moved);
      window.addEventListener('resize', function () { page.scrolling.follow(); });
      document.addEventListener('wheel', function (event) { if (event.deltaY < 0) letGo(); }, false);
      document.addEventListener('touchstart', function (event) { touched = event.touches[0].clientY; }, false);
      document.addEventListener('touchmove', function (event) { if (event.touches[0].clientY > touched) letGo(); }, false);
      document.addEventListener('keydown', pressed);
      document.addEventListener('selectionchange', selected);
    },

    /** To be called in the frame that has painted something new. */
    follow: function () {
      if (stuck) {
        window.scrollTo(window.pageXOffset, document.documentElement.scrollHeight); // scrollTop is the body's in WebKit 538, the root's elsewhere
        top = window.pageYOffset;
      } else if (distance() > NEAR) {
        fresh = true;
        draw();
      }
    },

    /** To the end, and following it. */
    stick: stick,

    isStuck: function () { return stuck; }
  };
}(window.MillstreamPage));
