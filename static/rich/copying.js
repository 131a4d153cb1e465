/* The Copy buttons of code blocks. */

const SHOWN = 2000; // ms

/** One listener for all code that is ever drawn in `element`. */
export function listen(element, words) {
  element.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy");
    if (!button) return;
    const code = button.closest(".code").querySelector("code").textContent;
    if (!(await copy(code))) return;
    button.textContent = words.copied;
    setTimeout(() => (button.textContent = words.copy), SHOWN);
  });
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch (error) {
    return copyByCommand(text); // a page over plain HTTP has no clipboard
  }
}

function copyByCommand(text) {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.className = "quiet";
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (focused) focused.focus({ preventScroll: true });
  return done;
}
