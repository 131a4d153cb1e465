/* A code block at the top level whose closing fence has not come: its text is handed on and not parsed again. Pure. */

/** The opening line of a fence, as the standard has it: https://spec.commonmark.org/0.31.2/#fenced-code-blocks */
const OPENING = /^( {0,3})(`{3,}(?!`)|~{3,}(?!~))[^\n]*\n/;

/** What has closed a fence opened by `markup`, or what may become that. */
function closes(markup) {
  return new RegExp(`^ {0,3}${markup[0]}{${markup.length},}[ \\t]*$`);
}

/** Whether the last line of a fence's `lines` closes it, in whatever list or quotation it stands. */
export function isClosed(token, lines) {
  const last = lines[token.map[1] - 1] || "";
  return token.map[1] - token.map[0] > 1 && closes(token.markup).test(last.replace(/^[ \t>]+/, ""));
}

export class OpenFence {
  /** `source` begins with the opening line. */
  constructor(source) {
    const [line, indent, markup] = OPENING.exec(source);
    this._indent = new RegExp(`^ {0,${indent.length}}`);
    this._closes = closes(markup);
    this._mayClose = new RegExp(`^ {0,3}${markup[0]}*[ \\t]*$`);
    this._at = line.length;
    this._inLine = false;
    this._newline = ""; // of the line above, shown with the next one: the last line of code has none
  }

  /** The code that has come since the last call; null: the fence is closed. `source` has only grown. */
  take(source) {
    let code = "";
    while (this._at < source.length) {
      const found = source.indexOf("\n", this._at);
      const end = found < 0 ? source.length : found;
      let line = source.slice(this._at, end);
      if (!this._inLine) {
        if (found >= 0 && this._closes.test(line)) return null;
        if (found < 0 && this._mayClose.test(line)) break;
        line = this._newline + line.replace(this._indent, "");
      }
      code += line;
      this._inLine = found < 0;
      this._newline = "\n";
      this._at = end + (found < 0 ? 0 : 1);
    }
    return code;
  }
}
