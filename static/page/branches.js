/* A conversation's turns are a tree: each knows the turn that it came after, its parent, and turns with one parent are
   versions of each other. What is shown is one path through it, that ends at its `tip`. Pure. */
(function (page) {
  'use strict';

  function older(a, b) { return a.made - b.made || (a.id < b.id ? -1 : 1); }

  /** id of a parent, or '' → its turns, the oldest first. */
  function children(nodes) {
    var found = {};
    Object.keys(nodes).forEach(function (id) {
      var parent = nodes[id].parent || '';
      (found[parent] = found[parent] || []).push(nodes[id]);
    });
    Object.keys(found).forEach(function (parent) { found[parent].sort(older); });
    return found;
  }

  page.branches = {
    children: children,

    /** The turns from the first to the one with this id. */
    path: function (nodes, tip) {
      var turns = [], seen = {}, turn = nodes[tip];
      while (turn && !seen[turn.id]) { // an imported file may have a ring
        seen[turn.id] = true;
        turns.push(turn);
        turn = nodes[turn.parent];
      }
      return turns.reverse();
    },

    /** The id of the latest turn that comes after this one, or of the latest of all. */
    latest: function (nodes, turn) {
      var found = children(nodes), seen = {}, list;
      while ((list = found[turn ? turn.id : '']) && !(turn && seen[turn.id])) {
        if (turn) seen[turn.id] = true;
        turn = list[list.length - 1];
      }
      return turn ? turn.id : null;
    }
  };
}(window.MillstreamPage));
