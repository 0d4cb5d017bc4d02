// What the documents can do with JavaScript beside what app.js does: a search, and the copying of
// commands. The index is a script, so that it works from a folder as well.
(() => {
  "use strict";
  const lower = (s) => s.toLowerCase();
  let sections = [], asked = false, show = () => {};
  window.fnbDocs = (rows) => {
    sections = rows.map(([page, title, at, text]) => ({ page, title, at, text, head: lower(title), body: lower(text), whole: lower(page) }));
    show();
  };

  // worth is how likely a page is what somebody looks for.
  const worth = (at) => at.startsWith("howto/") ? 1.3 : at.startsWith("reference/") || at.startsWith("project/") ? 0.7 : 1;

  // find ranks the sections by the words that they have; a word counts more the fewer have it. Of
  // a whole sentence, such as an error with names in it, most words are enough.
  function find(query) {
    const words = [...new Set(lower(query).match(/[\p{L}\p{N}][\p{L}\p{N}._-]*[\p{L}\p{N}]|[\p{L}\p{N}]/gu) || [])].slice(0, 60);
    if (!words.length) return { words, hits: [] };
    const weight = words.map((w) => {
      const n = sections.reduce((sum, s) => sum + (s.head.includes(w) || s.body.includes(w) ? 1 : 0), 0);
      return n ? Math.log(1 + sections.length / n) : 0;
    });
    const all = weight.reduce((a, b) => a + b, 0);
    const enough = words.length > 3 ? 0.5 * all : all - 1e-9;
    const hits = [];
    for (const s of sections) {
      let has = 0, score = 0;
      words.forEach((w, i) => {
        const where = (" " + s.head).includes(" " + w) ? 3 : s.head.includes(w) ? 2 : s.whole.includes(w) ? 1.5 : s.body.includes(w) ? 1 : 0;
        if (where) { has += weight[i]; score += weight[i] * where; }
      });
      if (!has || has < enough || words.length <= 3 && words.some((w) => !s.head.includes(w) && !s.body.includes(w) && !s.whole.includes(w))) continue;
      hits.push([score * worth(s.at) / (1 + s.body.length / 20000 + s.head.length / 400), s]);
    }
    hits.sort((a, b) => b[0] - a[0]);
    return { words, hits: hits.slice(0, 20).map((h) => h[1]), more: hits.length };
  }

  document.addEventListener("DOMContentLoaded", () => {
    const $ = (id) => document.getElementById(id);
    const root = document.body.dataset.root, q = $("q"), found = $("found");
    const wide = matchMedia("(min-width: 52.01rem)");
    const fold = () => { $("menu").open = wide.matches; };
    fold(); wide.addEventListener("change", fold);

    for (const b of document.querySelectorAll(".take")) {
      b.addEventListener("click", async () => {
        let done = true;
        try { await navigator.clipboard.writeText(b.dataset.text); } catch { done = false; }
        b.textContent = done ? "Copied" : "Cannot copy"; $("said").textContent = b.textContent;
        setTimeout(() => { b.textContent = "Copy"; }, 1600);
      });
    }

    function load() {
      if (asked) return;
      asked = true;
      const s = document.createElement("script");
      s.src = root + "assets/search.js?" + document.body.dataset.stamp;
      s.addEventListener("error", () => { $("count").textContent = "The index could not be loaded."; });
      document.head.append(s);
    }
    function marked(node, text, words) {
      const hay = lower(text);
      let at = hay.length === text.length ? Math.max(0, Math.min(...words.map((w) => hay.indexOf(w)).filter((n) => n >= 0), text.length) - 40) : 0;
      if (at >= text.length - 1) at = 0;
      const end = Math.min(text.length, at + 220);
      if (at > 0) node.append("…");
      while (at < end) {
        let next = end, length = 0;
        for (const w of words) {
          const n = hay.indexOf(w, at);
          if (n >= 0 && (n < next || n === next && w.length > length)) { next = n; length = w.length; }
        }
        node.append(text.slice(at, next));
        if (length) { const m = document.createElement("mark"); m.textContent = text.slice(next, next + length); node.append(m); }
        at = next + length;
        if (!length) break;
      }
    }
    function item(s, words) {
      const li = document.createElement("li"), a = document.createElement("a");
      const title = document.createElement("strong"), of = document.createElement("span"), text = document.createElement("p");
      a.href = root + s.at;
      title.textContent = s.title;
      if (s.page !== s.title) of.textContent = " · " + s.page;
      marked(text, s.text, words);
      a.append(title, of, text);
      li.append(a);
      return li;
    }
    show = () => {
      const query = q.value.trim();
      found.hidden = query === "";
      if (!query) return;
      if (!sections.length) { $("count").textContent = "Loading…"; return; }
      const { words, hits, more } = find(query);
      $("hits").replaceChildren(...hits.map((s) => item(s, words)));
      $("count").textContent = !hits.length ? "Nothing has these words." : more > hits.length ? "The best " + hits.length + " of " + more : hits.length === 1 ? "One section" : hits.length + " sections";
      $("said").textContent = $("count").textContent;
    };
    let waiting = 0;
    q.addEventListener("focus", load);
    q.addEventListener("input", () => { load(); cancelAnimationFrame(waiting); waiting = requestAnimationFrame(show); });
    const links = () => [...$("hits").querySelectorAll("a")];
    document.querySelector(".search").addEventListener("keydown", (ev) => {
      if (ev.ctrlKey || ev.metaKey || ev.altKey || ev.isComposing) return;
      const all = links(), here = all.indexOf(document.activeElement);
      if (ev.key === "ArrowDown" && here + 1 < all.length) { ev.preventDefault(); all[here + 1].focus(); }
      else if (ev.key === "ArrowUp" && here >= 0) { ev.preventDefault(); (here ? all[here - 1] : q).focus(); }
      else if (ev.key === "Enter" && here < 0 && all.length) { ev.preventDefault(); cancelAnimationFrame(waiting); show(); links()[0]?.click(); }
      else if (ev.key === "Escape") {
        ev.preventDefault(); ev.stopPropagation(); // app.js would go to the first page
        if (here >= 0) q.focus(); else { q.value = ""; show(); }
      }
    });
    document.addEventListener("click", (ev) => {
      if (!ev.target.closest(".search") || ev.target.closest("#hits a")) found.hidden = true;
    });
    q.addEventListener("click", () => { if (q.value) show(); });
  });
})();
