/* Nodes ({tag, attributes, children}, {text}, or {tag, attributes, source, fill(drawn)}) to the document. What is equal stays; a text that has grown is added
   to, so that a selection in it stays, too. Nothing here takes HTML. */

export function text(value) {
  return { text: value };
}

export function element(tag, attributes = {}, children = []) {
  return { tag, attributes, children };
}

export function textOf(node) {
  if (node.tag === undefined) return node.text;
  return node.fill ? node.source : node.children.map(textOf).join("");
}

/** Makes `parent`'s children, which were drawn from the nodes `before`, those of the nodes `after`. */
export function patch(parent, before, after) {
  after.forEach((node, index) => {
    const old = before[index];
    if (!old) parent.appendChild(create(node));
    else if (old.tag !== node.tag || !old.fill !== !node.fill) parent.replaceChild(create(node), old.drawn);
    else if (old !== node) update(old, node);
  });
  for (const old of before.slice(after.length)) parent.removeChild(old.drawn);
}

function create(node) {
  if (node.tag === undefined) return (node.drawn = document.createTextNode(node.text));
  node.drawn = document.createElement(node.tag);
  for (const name in node.attributes) node.drawn.setAttribute(name, node.attributes[name]);
  for (const child of node.children) node.drawn.appendChild(create(child));
  if (node.fill) node.fill(node.drawn);
  return node.drawn;
}

function update(old, node) {
  const drawn = (node.drawn = old.drawn);
  if (node.tag === undefined) {
    if (node.text === old.text) return;
    if (node.text.startsWith(old.text)) drawn.appendData(node.text.slice(old.text.length));
    else drawn.data = node.text;
    return;
  }
  for (const name in old.attributes) if (!(name in node.attributes)) drawn.removeAttribute(name);
  for (const name in node.attributes) {
    if (node.attributes[name] !== old.attributes[name]) drawn.setAttribute(name, node.attributes[name]);
  }
  if (!node.fill) patch(drawn, old.children, node.children);
  else if (node.source !== old.source) node.fill(drawn);
}
