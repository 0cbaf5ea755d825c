/* Copies a value when its button is pressed. The buttons are hidden without this script. All words
   come from the server. */
(() => {
  "use strict";

  function textOf(source) {
    return "value" in source ? source.value : source.textContent;
  }

  /* Without a secure context there is no clipboard: select the value, so that the keys copy it. */
  function select(source) {
    if ("select" in source) {
      source.select();
    } else {
      getSelection().selectAllChildren(source);
    }
    return document.execCommand("copy");
  }

  async function copy(button) {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(textOf(source));
    } catch {
      if (!select(source)) return;
      button.focus();
    }
    const before = button.dataset.words || button.textContent;
    button.dataset.words = before;
    button.textContent = button.dataset.copied;
    const voice = document.getElementById("ro-copied");
    if (voice) voice.textContent = button.dataset.copied;
    setTimeout(() => {
      button.textContent = before;
      if (voice) voice.textContent = "";
    }, 2000);
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("button[data-copy]")) {
      button.hidden = false;
      button.addEventListener("click", () => copy(button));
    }
  });
})();
