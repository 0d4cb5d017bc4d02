// What the page of a store can do with JavaScript: instant search, keys, copying,
// a choice of colours. Without it everything is still there.
(() => {
  "use strict";
  const html = document.documentElement;
  html.classList.replace("no-js", "js");
  const themes = ["", "light", "dark"];
  const remembered = () => { try { return localStorage.getItem("theme") || ""; } catch { return ""; } };
  const remember = (t) => { try { localStorage.setItem("theme", t); } catch { /* private */ } };
  const paint = (t) => { if (t) html.dataset.theme = t; else delete html.dataset.theme; };
  paint(themes.includes(remembered()) ? remembered() : "");

  // Each script of the index calls this with its rows.
  const shards = [];
  let onShard = () => {};
  window.fnbShard = (n, rows) => { shards[n] = rows.map(entry); onShard(); };

  const lower = (s) => s.toLowerCase();
  function entry([kind, name, version, title, description, language, tags, platforms, mark, hue, glyph]) {
    return {
      kind: kind === "f" ? "function" : "template", name, version, title, description, language, tags, platforms, mark, hue, glyph,
      find: [[lower(name), 100], [lower(language), 60], [lower(tags.join(" ")), 50], [lower(title), 40], [lower(description), 20]],
    };
  }

  // score says how well an entry has a word; 0 for not at all.
  function score(e, word) {
    let best = 0;
    for (const [field, weight] of e.find) {
      let at = field.indexOf(word);
      if (at < 0 || weight + 10 <= best) continue;
      if (field.length === word.length) { best = Math.max(best, weight + 10); continue; }
      for (; at >= 0; at = field.indexOf(word, at + 1)) {
        const begins = at === 0 || isBreak(field[at - 1]);
        const end = at + word.length;
        const ends = end === field.length || isBreak(field[end]);
        best = Math.max(best, begins && ends ? weight : weight * (begins ? 0.6 : 0.3));
        if (begins && ends) break;
      }
    }
    return best;
  }
  const isBreak = (c) => c < "\x80" && !/[a-z0-9]/.test(c);

  function select(query) {
    const words = lower(query.q).split(/\s+/).filter(Boolean);
    const found = [];
    for (const shard of shards) {
      for (const e of shard || []) {
        if (query.kind && e.kind !== query.kind || query.lang && e.language !== query.lang ||
            query.tag && !e.tags.includes(query.tag) ||
            query.platform && e.platforms.length && !e.platforms.includes(query.platform)) continue;
        let sum = 0;
        if (words.every((w) => { const s = score(e, w); sum += s; return s > 0; })) found.push([sum, e]);
      }
    }
    if (words.length) found.sort((a, b) => b[0] - a[0] || (a[1].name < b[1].name ? -1 : a[1].name > b[1].name ? 1 : 0));
    return found.map((f) => f[1]);
  }

  document.addEventListener("DOMContentLoaded", () => {
    const $ = (id) => document.getElementById(id);
    const root = document.body.dataset.root;
    const say = (text) => { $("said").textContent = ""; $("said").textContent = text; };

    const button = $("theme");
    const label = () => { button.setAttribute("aria-label", "Colours: " + ({ light: "light", dark: "dark" }[remembered()] || "as the system")); };
    label();
    button.addEventListener("click", () => {
      const next = themes[(themes.indexOf(remembered()) + 1) % themes.length];
      remember(next); paint(next); label(); say(button.getAttribute("aria-label"));
    });

    for (const b of document.querySelectorAll(".copy")) {
      b.addEventListener("click", async () => {
        const code = b.parentElement.querySelector("code");
        let done = true;
        try { await navigator.clipboard.writeText(code.textContent); } catch {
          const range = document.createRange();
          range.selectNodeContents(code);
          getSelection().removeAllRanges(); getSelection().addRange(range);
          done = document.execCommand("copy");
        }
        b.textContent = done ? "Copied" : "Press Ctrl+C"; say(b.textContent);
        setTimeout(() => { b.textContent = "Copy"; }, 1600);
      });
    }

    const form = $("find");
    let waiting = 0;
    // settle shows at once what was typed, before a key moves in it.
    const settle = () => { if (waiting) { cancelAnimationFrame(waiting); waiting = 0; show(); } };
    const typing = (t) => t.matches("input:not([type=radio]), textarea, select");
    const links = () => [...document.querySelectorAll("#rows .row a")];
    document.addEventListener("keydown", (ev) => {
      if (ev.ctrlKey || ev.metaKey || ev.altKey || ev.isComposing) return;
      if (ev.key === "/" && !typing(ev.target)) { ev.preventDefault(); $("q").focus(); $("q").select(); return; }
      if (!form) {
        if (ev.key === "Escape" && !typing(ev.target)) location.href = root + "index.html";
        return;
      }
      if (ev.key.startsWith("Arrow")) settle();
      const here = links().indexOf(document.activeElement);
      if (ev.key === "Escape") {
        ev.preventDefault(); // a search field would empty itself
        if (here >= 0) $("q").focus(); else if (document.activeElement === $("q") || !typing(ev.target)) clear();
      } else if (ev.key === "ArrowDown" && (ev.target === $("q") || !typing(ev.target) && ev.target.type !== "radio")) {
        const next = links()[here + 1];
        if (next) { ev.preventDefault(); next.focus(); } else if (!$("more").hidden) { ev.preventDefault(); more(); links()[here + 1]?.focus(); }
      } else if (ev.key === "ArrowUp" && here >= 0) {
        ev.preventDefault();
        if (here === 0) $("q").focus(); else links()[here - 1].focus();
      }
    });

    const attempt = $("tryform");
    if (attempt) {
      attempt.addEventListener("submit", async (ev) => {
        ev.preventDefault();
        const run = attempt.querySelector("button");
        run.disabled = true; run.textContent = "Running…"; say("Running");
        try {
          const res = await fetch(attempt.action, { method: "POST", body: new URLSearchParams(new FormData(attempt)) });
          const page = new DOMParser().parseFromString(await res.text(), "text/html");
          $("answer").replaceChildren(...(page.getElementById("answer") || page.getElementById("main")).childNodes);
        } catch (err) { $("answer").textContent = "fnb does not answer: " + err.message; }
        run.disabled = false; run.textContent = "Run";
      });
    }
    if (!form) return;

    // The list.
    const first = { rows: [...$("rows").children], count: $("count").textContent };
    const total = Number(document.body.dataset.shards);
    const size = 50;
    let found = [], shown = 0, asked = false;
    const query = () => {
      const data = new FormData(form);
      const get = (k) => (data.get(k) || "").toString().trim();
      return { q: get("q"), kind: get("kind"), lang: get("lang"), tag: get("tag"), platform: get("platform") };
    };
    const empty = (q) => !Object.values(q).some(Boolean);

    function load() {
      if (asked) return;
      asked = true;
      for (let n = 0; n < total; n++) {
        const s = document.createElement("script");
        s.src = root + "search/" + n + ".js?" + document.body.dataset.stamp;
        s.addEventListener("error", () => { shards[n] = shards[n] || []; $("count").textContent = "A part of the index could not be loaded."; });
        document.head.append(s);
      }
    }
    function mark(node, words) {
      const text = node.textContent, hay = lower(text);
      if (hay.length !== text.length) return;
      const hits = words.map((w) => [hay.indexOf(w), w.length]).filter(([at]) => at >= 0).sort((a, b) => a[0] - b[0]);
      if (!hits.length) return;
      node.textContent = "";
      let at = 0;
      for (const [start, length] of hits) {
        if (start < at) continue;
        const m = document.createElement("mark");
        m.textContent = text.slice(start, start + length);
        node.append(text.slice(at, start), m);
        at = start + length;
      }
      node.append(text.slice(at));
    }
    function row(e, words) {
      const li = $("row").content.firstElementChild.cloneNode(true);
      const tile = li.querySelector(".tile");
      tile.className = "tile " + e.kind + " h" + e.hue;
      tile.textContent = e.glyph;
      const a = li.querySelector("a");
      const [own, ns] = e.name.split("/").reverse();
      a.href = root + (e.kind === "function" ? "f/" : "t/") + (ns || "-") + "/" + own + ".html";
      a.replaceChildren();
      if (ns) { const s = document.createElement("span"); s.className = "ns"; s.textContent = ns + "/"; a.append(s); }
      const s = document.createElement("span"); s.className = "own"; s.textContent = own; a.append(s);
      if (e.mark) {
        const b = document.createElement("span");
        b.className = "badge " + e.mark; b.textContent = e.mark; a.after(" ", b);
        li.classList.add(e.mark);
      }
      li.querySelector(".side").textContent = e.version;
      li.querySelector("p").textContent = [e.title, e.description].filter(Boolean).join(": ");
      li.querySelector(".meta span").textContent = [e.kind, e.language, e.platforms.map((p) => p.replace(/^linux\//, "")).join(" "), e.tags.join(" ")].filter(Boolean).join(" · ");
      for (const part of [s, li.querySelector("p"), li.querySelector(".meta span")]) mark(part, words);
      return li;
    }
    function more() {
      const words = lower(query().q).split(/\s+/).filter(Boolean);
      $("rows").append(...found.slice(shown, shown + size).map((e) => row(e, words)));
      shown = Math.min(shown + size, found.length);
      $("more").hidden = shown >= found.length;
    }
    function show() {
      const q = query();
      const plain = empty(q);
      $("clear").hidden = plain;
      if ($("front")) $("front").hidden = !plain;
      for (const s of form.querySelectorAll("select")) s.classList.toggle("set", s.value !== "");
      const params = new URLSearchParams(Object.entries(q).filter(([, v]) => v)).toString();
      try { history.replaceState(null, "", params ? "?" + params : location.pathname); } catch { /* a file's address stays */ }
      for (const a of document.querySelectorAll(".top nav a")) {
        if (new URL(a.href).searchParams.get("kind") === q.kind) a.setAttribute("aria-current", "true"); else a.removeAttribute("aria-current");
      }
      if (plain && !filtered) {
        $("rows").replaceChildren(...first.rows);
        $("count").textContent = first.count;
        $("none").hidden = first.rows.length > 0;
        $("pages").hidden = false; $("more").hidden = true;
        return;
      }
      load();
      found = select(q); shown = 0;
      $("pages").hidden = true;
      $("rows").replaceChildren();
      more();
      const ready = shards.filter(Boolean).length;
      const n = found.length.toLocaleString("en");
      $("count").textContent = ready < total ? n + " so far…" : n + (found.length === 1 ? " match" : " matches");
      $("none").hidden = found.length > 0 || ready < total;
      $("why").textContent = q.q ? "No entry has all of: " + q.q + "." : "No entry has all of these properties.";
    }
    // A page that the server has narrowed down is not the one to come back to.
    const filtered = !empty(query());
    function clear() {
      if (empty(query())) return;
      for (const f of form.elements) {
        if (f.type === "radio") f.checked = f.value === ""; else if (f.matches("input, select")) f.value = "";
      }
      show(); $("q").focus();
    }
    const soon = () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(settle); };
    onShard = soon;
    const asks = new URLSearchParams(location.search);
    for (const f of form.elements) {
      const v = asks.get(f.name);
      if (!v) continue;
      if (f.type === "radio") f.checked = f.value === v; else f.value = v;
    }
    form.addEventListener("input", soon);
    form.addEventListener("focusin", load, { once: true });
    form.addEventListener("submit", (ev) => { ev.preventDefault(); settle(); const only = links()[0]; if (only && found.length) only.focus(); });
    $("clear").addEventListener("click", (ev) => { ev.preventDefault(); clear(); });
    $("more").addEventListener("click", () => { const at = shown; more(); links()[at]?.focus(); });
    if (!empty(query())) show();
  });
})();
