// Keeps an open page up to date, and adds keys. Every page works without it.
"use strict";

const user = document.body.dataset.user;
const connection = document.getElementById("connection");
let lastId = "";
let isRefreshing = false;
let isStale = false;

// Everything that can change is read from the server again, as the page shows it.
async function refresh() {
  isStale = true;
  if (isRefreshing || document.hidden) return;
  isRefreshing = true;
  try {
    while (isStale) {
      isStale = false;
      const response = await fetch(location.href, { headers: { "X-Inbox-Live": "1" } });
      if (!response.ok) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      document.title = page.title;
      for (const old of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(old.id);
        // What was new when the page was opened stays marked.
        for (const item of old.querySelectorAll(".is-new")) {
          fresh?.querySelector(`#${item.id}`)?.classList.add("is-new");
        }
        if (fresh && fresh.innerHTML !== old.innerHTML) replace(old, fresh);
      }
    }
  } catch {
    // The daemon is away: its events tell when it is back.
  } finally {
    isRefreshing = false;
  }
}

// The keyboard's place stays where it is, and so does what is being looked at.
function replace(old, fresh) {
  const target = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const anchor = anchorIn(old);
  const before = anchor?.getBoundingClientRect().top;
  old.replaceWith(fresh);
  const after = anchor && document.getElementById(anchor.id)?.getBoundingClientRect().top;
  if (after !== undefined && after !== null) scrollBy({ top: after - before, behavior: "instant" });
  if (target) fresh.querySelector(`a[href="${CSS.escape(target)}"]`)?.focus({ preventScroll: true });
}

// The message under the pointer or the keyboard, or the first that is seen when the page is scrolled.
function anchorIn(part) {
  const marked = part.querySelector("[data-item]:focus-within") ?? part.querySelector("[data-item]:hover");
  if (marked || !scrollY) return marked;
  const top = document.querySelector("header").getBoundingClientRect().bottom;
  return [...part.querySelectorAll("[data-item]")].find((item) => item.getBoundingClientRect().top >= top) ?? null;
}

function connect() {
  const events = new EventSource("/inbox/events" + (lastId ? `?after=${lastId}` : ""));
  events.onopen = () => {
    if (!connection.hidden) refresh();
    connection.hidden = true;
  };
  events.onerror = () => {
    connection.textContent = "The daemon does not answer; trying again.";
    connection.hidden = false;
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  };
  events.addEventListener("hello", (event) => { lastId = event.lastEventId; });
  events.addEventListener("change", refresh);
  events.addEventListener("message", (event) => {
    lastId = event.lastEventId;
    const message = JSON.parse(event.data);
    if (message.to === user && "Notification" in window && Notification.permission === "granted") {
      new Notification(`Mail from ${message.from}`, { body: message.text, tag: `mail-${message.id}` });
    }
  });
}

function move(step) {
  const items = [...document.querySelectorAll("[data-item] .when")];
  if (!items.length) return;
  const now = items.indexOf(document.activeElement?.closest("[data-item]")?.querySelector(".when"));
  const next = now < 0 ? (step > 0 ? 0 : items.length - 1) : now + step;
  items[Math.max(0, Math.min(next, items.length - 1))].focus();
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const marked = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "?") document.getElementById("help").showModal();
  else if (event.key === "r" && !marked) location.href = "/inbox/write";
  else if (event.key === "r" && marked.matches("a")) marked.click();
  else if (marked) marked.focus();
  else return;
  event.preventDefault();
}

const keys = document.getElementById("keys");
keys.hidden = false;
keys.addEventListener("click", () => document.getElementById("help").showModal());
document.addEventListener("keydown", press);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });

const notify = document.getElementById("notify");
if ("Notification" in window && Notification.permission === "default") {
  notify.hidden = false;
  notify.addEventListener("click", async () => {
    await Notification.requestPermission();
    notify.hidden = true;
  });
}

connect();
setInterval(refresh, 60000);
