/* What the reader has selected, kept while the nodes under it are drawn anew: as places in the text. */

/** Does `step`, which draws in `element` and changes the text at most behind what is selected. */
export function keepSelection(element, step) {
  const selection = document.getSelection();
  if (!selection || selection.isCollapsed || !selection.containsNode(element, true)) return step();
  const ends = [
    [selection.anchorNode, selection.anchorOffset],
    [selection.focusNode, selection.focusOffset],
  ];
  const places = ends.map(([node, offset]) => (element.contains(node) ? placeOf(element, node, offset) : null));
  step();
  const { anchorNode, anchorOffset, focusNode, focusOffset } = selection; // a node that is taken away takes its end along
  const now = [[anchorNode, anchorOffset], [focusNode, focusOffset]];
  if (now.every(([node, offset], n) => node === ends[n][0] && offset === ends[n][1])) return;
  const [anchor, focus] = ends.map((end, n) => (places[n] !== null && endAt(element, places[n])) || end);
  selection.setBaseAndExtent(...anchor, ...focus);
}

function placeOf(element, node, offset) {
  const range = document.createRange();
  range.setStart(element, 0);
  range.setEnd(node, offset);
  return range.toString().length;
}

function endAt(element, place) {
  const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let left = place, node; (node = texts.nextNode()); left -= node.length) {
    if (left <= node.length) return [node, left];
  }
  return null;
}
