/* An answer that is not drawn as markdown: its text as it came, a paragraph for each blank line. */

export class Plain {
  constructor(element) {
    this._element = element;
    this._paragraph = null;
    this._newlines = 0; // held back: the text goes on behind them, or a paragraph has ended
  }

  /** Draws what has come. Each piece is a text node of its own: adding to a long one costs time with its length. */
  add(piece) {
    for (const part of piece.split(/(\n+)/)) {
      if (part[0] === "\n") this._newlines += part.length;
      else if (part) this._append(part);
    }
  }

  end() {}

  _append(part) {
    if (!this._paragraph || this._newlines > 1) {
      this._paragraph = this._element.appendChild(document.createElement("p"));
      this._paragraph.className = "plain";
    } else if (this._newlines) {
      part = "\n" + part;
    }
    this._newlines = 0;
    this._paragraph.appendChild(document.createTextNode(part));
  }
}
