/* The page of a link follows what is under way. The server writes every word: this asks for the
   content again and puts its parts marked data-live in place of those on the page. */
(() => {
  "use strict";

  const page = document.querySelector("[data-status]");
  const voice = document.getElementById("ro-voice");
  if (!page || !voice) return;

  const FIRST_PAUSE = 500;
  const LONGEST_PAUSE = 10000;
  const stopAt = Date.now() + 5 * 60 * 1000;
  let pause = FIRST_PAUSE;

  function take(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-status]");
    if (!fresh) return false;
    const focused = document.activeElement;
    for (const old of page.querySelectorAll("[data-live]")) {
      const next = fresh.querySelector(`[data-live="${old.dataset.live}"]`);
      if (!next || next.innerHTML === old.innerHTML) continue;
      const hadFocus = old.contains(focused);
      const address = hadFocus && focused.getAttribute("href");
      old.replaceChildren(...next.childNodes);
      if (!hadFocus) continue;
      // What had the focus is gone: its successor gets it, else the part that it stood in.
      const links = [...old.querySelectorAll("a")];
      const heir = links.find((link) => link.getAttribute("href") === address) || old;
      if (heir === old) old.tabIndex = -1;
      heir.focus({ preventScroll: true });
    }
    if (page.dataset.said !== fresh.dataset.said) {
      page.dataset.said = fresh.dataset.said;
      voice.textContent = fresh.dataset.said;
    }
    return fresh.dataset.underWay === "yes";
  }

  async function ask() {
    const response = await fetch(page.dataset.status, {
      credentials: "same-origin",
      cache: "no-store",
      redirect: "manual",
    });
    if (response.ok) return take(await response.text());
    // Signed out, or the link is gone: only a reload helps. A server in trouble may recover.
    return response.status >= 500 || response.status === 429;
  }

  async function follow() {
    let goesOn = true;
    try {
      goesOn = await ask();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // fetch throws it without a network.
    }
    pause = Math.min(pause * 1.4, LONGEST_PAUSE);
    if (goesOn && Date.now() < stopAt) setTimeout(follow, pause);
  }

  setTimeout(follow, pause);
})();
