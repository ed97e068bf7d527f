// Runs before the page is drawn, for its colours; the rest waits for the document.
"use strict";
(() => {
  const airflow = document.currentScript.dataset.airflow;

  // Airflow's own choice of light or dark, which it keeps under this name; "system" or nothing leaves it to the browser.
  const colour = () => {
    try {
      const theme = localStorage.getItem("theme");
      if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
      else delete document.documentElement.dataset.theme;
    } catch {
      // Storage may be forbidden.
    }
  };
  colour();
  window.addEventListener("storage", colour); // it is chosen outside this frame

  // In Airflow's frame a link to Airflow must open around it. The frame may not navigate its parent; the parent may.
  const openAround = (event) => {
    const link = event.target.closest("a.out");
    if (!link || window.parent === window || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const outer = window.parent.document.createElement("a");
    outer.href = link.href;
    outer.click();
  };

  const runs = `${airflow}/api/v2/dags/order_sync_redrive/dagRuns`;
  const DOING = { accept: "the acceptance", dismiss: "the dismissal", resend: "the new sending" };
  const ENDED = ["success", "failed"];

  const call = async (address, options) => {
    const answer = await fetch(address, { credentials: "same-origin", ...options });
    const body = await answer.json().catch(() => ({}));
    if (answer.ok) return body;
    const detail = typeof body.detail === "string" ? body.detail : JSON.stringify(body.detail ?? "");
    throw new Error(`Airflow refuses (${answer.status}). ${detail}`);
  };

  const trigger = (conf) =>
    call(runs, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ logical_date: null, conf: { ...conf, dry_run: false } }),
    });

  const outcome = () => document.getElementById("outcome");

  // Add a line to the outcome, which stays; return the function that writes it.
  const newLine = () => {
    const line = document.createElement("p");
    outcome().hidden = false;
    outcome().append(line);
    return (text, tone, link) => {
      line.className = `message ${tone}-edge`;
      line.textContent = text;
      if (link) line.append(" ", link);
      line.scrollIntoView({ block: "nearest" });
    };
  };

  const page = `${airflow}/order-sync/run/order_sync_redrive`;

  const linkTo = (runId) => {
    const link = document.createElement("a");
    link.href = `${page}/${encodeURIComponent(runId)}`;
    link.textContent = "Its run";
    return link;
  };

  const confirmed = (ask, wantsNote, isRisky) =>
    new Promise((resolve) => {
      const dialog = document.getElementById("confirm");
      const note = document.getElementById("note");
      document.getElementById("ask").textContent = ask;
      document.getElementById("note-label").hidden = !wantsNote;
      note.required = wantsNote;
      note.value = "";
      dialog.returnValue = "no";
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? { note: note.value } : null), {
        once: true,
      });
      dialog.showModal();
      // Enter, pressed twice, must not mail a customer twice.
      if (isRisky) dialog.querySelector("button[value=no]").focus();
    });

  const chosen = () => [...document.querySelectorAll("input[name=entry]:checked")];

  // What a button is about, as params of the redrive DAG; one run is of one destination.
  const jobs = (button) => {
    const decision = button.dataset.decision ? { decision: button.dataset.decision } : {};
    if (button.dataset.entry) {
      return [{ destination: button.dataset.destination, entries: [Number(button.dataset.entry)] }];
    }
    if (!("selected" in button.dataset)) {
      return [{ destination: button.dataset.destination, batch: Number(button.dataset.batch), ...decision }];
    }
    const byDestination = new Map();
    for (const box of chosen()) {
      const entries = byDestination.get(box.dataset.destination) ?? [];
      byDestination.set(box.dataset.destination, [...entries, Number(box.value)]);
    }
    return [...byDestination].map(([destination, entries]) => ({ destination, entries, ...decision }));
  };

  const watch = async (runId) => {
    for (;;) {
      const { state } = await call(`${runs}/${encodeURIComponent(runId)}`);
      if (ENDED.includes(state)) return state;
      await new Promise((go) => setTimeout(go, 1000));
    }
  };

  // Start a run, and write what comes of it; return whether one has ended.
  const redrive = async (job) => {
    const tell = newLine();
    let link;
    try {
      const { dag_run_id: runId } = await trigger(job);
      link = linkTo(runId);
      tell(`${job.destination}: ${DOING[job.decision] ?? "the redrive"} is under way …`, "quiet", link);
      const state = await watch(runId);
      const { outcome: came, why } = await call(`${page}/${encodeURIComponent(runId)}?format=json`);
      const ended = state === "success" ? "" : ` The run ended red. ${why || "Its log in Airflow says why."}`;
      tell(`${job.destination}: ${came.sentence}.${ended}`, ended ? "bad" : came.tone, link);
      return true;
    } catch (error) {
      tell(`${job.destination}: ${error.message}`, "bad", link);
      return false;
    }
  };

  const act = async (button) => {
    outcome().replaceChildren();
    const wanted = jobs(button);
    if (!wanted.length) return newLine()("Choose entries first.", "warn");
    const answer = await confirmed(button.dataset.ask, button.dataset.decision === "dismiss", button.matches(".danger"));
    if (!answer) return undefined;
    const buttons = [...document.querySelectorAll("button.act")];
    for (const each of buttons) each.disabled = true;
    const note = answer.note ? { note: answer.note } : {};
    const started = await Promise.all(wanted.map((job) => redrive({ ...job, ...note })));
    for (const each of buttons) each.disabled = false;
    return started.some(Boolean) ? renew() : undefined;
  };

  // Show what is so now; the lines about the runs stay.
  const renew = async () => {
    const answer = await fetch(window.location.href, { credentials: "same-origin", headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
    fresh.querySelector("#outcome").replaceWith(outcome());
    document.getElementById("main").replaceWith(fresh);
    count();
  };

  const count = () => {
    const shown = document.getElementById("chosen");
    if (shown) shown.textContent = chosen().length ? `${chosen().length} chosen` : "none chosen";
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.addEventListener("click", openAround);
    document.addEventListener("click", (event) => {
      const button = event.target.closest("button.act");
      if (button) act(button);
    });
    document.addEventListener("change", count);
  });
})();
