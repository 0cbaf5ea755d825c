/* Shows the times on a page in the reader's time zone. On the page of a link, while a step is in
   progress, also requests the content again and replaces the parts marked data-live. All words come
   from the server. */
(() => {
  "use strict";

  const MINUTE = {
    year: "numeric", month: "short", day: "numeric",
    hour: "numeric", minute: "2-digit", timeZoneName: "short",
  };
  const PRECISIONS = {
    minute: MINUTE,
    millisecond: { ...MINUTE, second: "2-digit", fractionalSecondDigits: 3 },
  };

  /* The reader's own kind of the page's language: en-GB and en-US write dates in different ways. */
  function locale() {
    const language = document.documentElement.lang || navigator.language;
    const base = (tag) => tag.toLowerCase().split("-")[0];
    return navigator.languages.find((each) => base(each) === base(language)) || language;
  }

  const formats = {};
  function format(precision) {
    formats[precision] ??= new Intl.DateTimeFormat(locale(), PRECISIONS[precision]);
    return formats[precision];
  }

  /* The time as the server wrote it stays in the tooltip. */
  function showInZoneOfReader(root) {
    for (const time of root.querySelectorAll("time[data-precision]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime()) || !(time.dataset.precision in PRECISIONS)) continue;
      time.title = time.textContent;
      time.textContent = format(time.dataset.precision).format(at);
    }
  }

  showInZoneOfReader(document);

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
    showInZoneOfReader(fresh);
    const focused = document.activeElement;
    for (const old of page.querySelectorAll("[data-live]")) {
      const next = fresh.querySelector(`[data-live="${old.dataset.live}"]`);
      if (!next || next.innerHTML === old.innerHTML) continue;
      const hadFocus = old.contains(focused);
      const address = hadFocus && focused.getAttribute("href");
      old.replaceChildren(...next.childNodes);
      if (!hadFocus) continue;
      // The focused element was replaced: focus the link with the same address, else the whole part.
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
    // Signed out, or the link no longer exists: only a reload helps. A failing server may recover.
    return response.status >= 500 || response.status === 429;
  }

  async function follow() {
    let isInProgress = true;
    try {
      isInProgress = await ask();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // fetch throws it without a network.
    }
    pause = Math.min(pause * 1.4, LONGEST_PAUSE);
    if (isInProgress && Date.now() < stopAt) setTimeout(follow, pause);
  }

  setTimeout(follow, pause);
})();
