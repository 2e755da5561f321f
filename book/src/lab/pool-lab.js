// The Pool Lab on a page: a question, the knobs, and what the runs gave. The module beside this script is the pool.

import { ask } from "./ask.js";
import { drawCurve, drawRequests, drawRun, drawTimes, highest } from "./drawings.js";
import { button, details, make, round, table } from "./elements.js";
import { Knobs, pairs } from "./knobs.js";
import { Player } from "./player.js";
import { Sizing } from "./sizing.js";

const deploys = (run) => run.knobs.includes("fault=deploy");
const hasCopies = (run) => run.knobs.includes("replicas=");
const ms = (value) => (value === null ? "–" : `${round(value, 1)} ms`);
const seconds = (millis) => (millis === null ? "it never ended" : `${round(millis / 1000)} s`);

// What a figure is of, if the program has copies.
const EACH = ", each copy";
const ALL = ", all copies together";

const FIGURES = [
    ["median wait", (run) => ms(run.figures.p50_wait)],
    ["mean wait", (run) => ms(run.figures.mean_wait)],
    ["99th percentile of the waits", (run) => ms(run.figures.p99_wait)],
    ["99th percentile of the total times", (run) => ms(run.figures.p99_total)],
    ["median time to an error", (run) => ms(run.figures.p50_refusal || null)],
    ["served in time, a second", (run) => round(run.figures.throughput, 1), ALL],
    ["utilisation", (run) => `${round(run.figures.utilisation * 100)} %`, ALL],
    ["most callers waiting", (run) => run.figures.most_waiting, ALL],
    ["most connections open", (run) => run.figures.most_open, ALL],
    ["connections open on average", (run) => round(run.figures.mean_open, 1), ALL],
    ["connects that the server refused", (run) => run.figures.refused_connects || "–", ALL],
    ["connections opened after the start", (run) => run.figures.opened, ALL],
    ["most replicas alive", (run) => (deploys(run) ? run.figures.most_replicas : "–")],
    ["the deploy took", (run) => (deploys(run) ? seconds(run.figures.deploy_took) : "–")],
    ["held on average, by Little's law", (run) => round(run.advice.held, 2), EACH],
    ["mean wait by arithmetic", (run) => ms(run.advice.mean_wait), EACH],
    ["least max_connections for the target, by arithmetic", (run) => run.advice.least_connections ?? "–", EACH],
    ["connections of all replicas", (run) => run.advice.together],
    ["the same at most during a deploy", (run) => run.advice.in_a_deploy],
];

const KEY =
    "Curves: held (solid), open (dashed), callers that wait (dotted). Boxes at the moment of the line: held " +
    "(filled), idle (hollow), being opened (dashed); the bars below them are callers that wait.";
const COPIES = " Each copy has its own pool: one may have idle connections while callers wait for another.";

let counter = 0;

class PoolLab extends HTMLElement {
    busy = Promise.resolve();

    async start(address) {
        const id = `pool-lab-${++counter}`;
        const live = { role: "status", "aria-live": "polite", className: "pool-lab-status" };
        this.status = make("p", live, "Loading the pool…");
        this.replaceChildren(this.status);
        try {
            const book = await ask("knobs");
            this.preset = book.presets.find(({ name }) => name === this.getAttribute("preset"));
            if (!this.preset) {
                throw new Error(`there is no preset ${this.getAttribute("preset")}`);
            }
            this.build(id, book.knobs);
            if (address) {
                await this.reproduce(address);
            } else {
                // The button that had the focus is gone.
                (this.sizing?.form.elements.rate ?? this.question).focus({ preventScroll: true });
                this.status.textContent = this.sizing ? "" : "First the question. The run comes after your answer.";
                this.runsOf(this.knobs.texts());
            }
        } catch (error) {
            this.fail(error);
            if (!this.knobs) {
                this.append(button("Try again", () => this.start(address)));
            }
        }
    }

    /** Says what is wrong in the status, and at its control in the form that asked. */
    fail({ message, knob, said, index = 0 }, form) {
        this.player?.pause();
        if (this.screen) {
            this.screen.hidden = true;
        }
        const named = (name) => form?.elements.namedItem(name);
        const control = knob ? (named(`${index}.${knob}`) ?? named(`0.${knob}`) ?? named(knob)) : null;
        const known = this.knobs?.knobs.find(({ name }) => name === knob);
        const label = control?.ariaLabel ?? control?.labels[0]?.textContent ?? known?.label;
        const why = label ? `${label}: it ${said}.` : `${message}.`;
        this.status.textContent = `No run: ${why}`;
        this.classList.add("failed");
        if (control) {
            const note = make("p", { id: `${control.id}-error`, className: "pool-lab-error" }, why);
            control.closest(".pool-lab-knob").after(note);
            control.setAttribute("aria-invalid", "true");
            control.setAttribute("aria-describedby", note.id);
            this.unmark = () => {
                note.remove();
                control.removeAttribute("aria-describedby");
                control.removeAttribute("aria-invalid");
            };
            control.closest("details")?.setAttribute("open", "");
            control.focus();
        }
    }

    build(id, knobs) {
        const { preset } = this;
        // Names of configurations, by text.
        this.named = new Map(preset.scenarios.map(({ knobs, name }) => [knobs, name]));
        const answers = preset.answers.map((answer) => button(answer, () => this.predict(answer)));
        this.verdict = make("p", { "aria-live": "polite", className: "pool-lab-verdict" });
        this.question = make(
            "fieldset",
            { className: "pool-lab-question", tabIndex: -1 },
            make("legend", {}, "Predict, then run"),
            make("p", {}, preset.question),
            ...answers,
        );
        this.screen = make("div", { hidden: true, className: "pool-lab-screen" });
        this.knobs = new Knobs(id, { knobs, preset, onRun: () => this.anew(() => this.run()) });
        let parts = [this.question, this.verdict, this.status];
        if (preset.name === "sizing") {
            this.sizing = new Sizing(id, { preset, onSize: () => this.anew(() => this.size(this.sizing.text())) });
            this.sizing.form.addEventListener("input", () => this.unmark?.());
            // Whoever has numbers wants no question first.
            const example = details("An example: predict, then run", this.question, this.verdict);
            parts = [this.sizing.form, this.sizing.answer, this.status, example];
        }
        this.replaceChildren(...parts, details("Turn the knobs", this.knobs.form), this.screen);
        new ResizeObserver(() => this.redraw()).observe(this.screen);
        // A theme's colours may come by a transition.
        const later = () => setTimeout(() => this.redraw(), 50);
        new MutationObserver(later).observe(document.documentElement, { attributeFilter: ["class"] });
    }

    /** Runs what an address asks for: `first/second` as the knobs say them, or `size/` and the reader's own numbers. */
    async reproduce(address) {
        let parts;
        try {
            parts = address.split("/").map(decodeURIComponent);
        } catch {
            await this.work(null, () => Promise.reject(new Error("the address of this run is damaged")));
            return;
        }
        const [first, text = ""] = parts;
        if (this.sizing && first === "size") {
            await this.size(this.sizing.read(text));
        } else {
            await this.run(this.knobs.read(parts));
        }
    }

    async predict(answer) {
        const right = answer === this.preset.right;
        this.verdict.textContent = `${right ? "Right" : `Not so: ${this.preset.right}`}. ${this.preset.explanation}`;
        // What the verdict is about.
        this.knobs.reset();
        await this.run();
    }

    /** Does what a reader asks for. The verdict is about another run. */
    anew(act) {
        this.verdict.textContent = "";
        return act();
    }

    /** Does what a form asks for, after all before it, and says how it goes. */
    work(form, act) {
        this.busy = this.busy.then(async () => {
            this.player?.pause();
            this.classList.remove("failed");
            this.unmark?.();
            this.sizing?.answer.replaceChildren();
            this.status.textContent = "Running…";
            try {
                await act();
            } catch (error) {
                this.fail(error, form);
            }
        });
        return this.busy;
    }

    run(texts = this.knobs.texts()) {
        return this.work(this.knobs.form, async () => {
            // A run before this one may have filled the form since.
            this.knobs.fill(texts.map(pairs));
            this.remember(...texts);
            const runs = await this.runsOf(texts);
            const changed = ["First, changed", "Second, changed"];
            this.show(runs, runs.map(({ knobs }, index) => this.named.get(knobs) ?? changed[index]));
        });
    }

    /** Those of the preset run while the reader thinks. A scenario gives the same run each time. */
    runsOf(texts) {
        const key = texts.join("/");
        if (this.asked?.key !== key) {
            const run = (text, index) =>
                ask("run", text).catch((error) => {
                    throw Object.assign(error, { index });
                });
            this.asked = { key, runs: Promise.all(texts.map(run)) };
            this.asked.runs.catch(() => (this.asked = undefined));
        }
        return this.asked.runs;
    }

    size(text) {
        return this.work(this.sizing.form, async () => {
            this.remember("size", text);
            const run = await this.sizing.size(text);
            if (!run) {
                this.screen.hidden = true;
                this.status.textContent = this.sizing.answer.firstElementChild.textContent;
                return;
            }
            const values = pairs(run.knobs);
            this.knobs.fill([values, values]);
            const beside = (more) => {
                for (const name of ["max_connections", "min_connections"]) {
                    const control = this.knobs.own(name, 1);
                    control.value = +control.value + more;
                }
                return ask("run", this.knobs.text(1));
            };
            // At the bounds of the lab, one less.
            const less = (error) => (error.knob ? beside(-2) : Promise.reject(error));
            const runs = [run, await beside(1).catch(less)];
            const names = runs.map(({ knobs }, index) => {
                const { value } = this.knobs.own("max_connections", index);
                const connections = value === "1" ? "1 connection" : `${value} connections`;
                const name = connections + (hasCopies(run) ? " in each copy" : "");
                this.named.set(knobs, name);
                return name;
            });
            this.show(runs, names);
            this.sizing.answer.scrollIntoView({ block: "nearest" });
        });
    }

    /** The address of the page repeats the run. */
    remember(...parts) {
        history.replaceState(null, "", `#lab/${this.preset.name}/${parts.map(encodeURIComponent).join("/")}`);
    }

    show(runs, names) {
        this.runs = runs;
        this.names = names;
        this.knobs.rename(names);
        this.most = highest(runs);
        this.sweep = undefined;
        const plot = (label) => make("canvas", { role: "img", "aria-label": label });
        this.canvases = runs.map((run, index) =>
            plot(`${names[index]}: connections and waiting callers over time. ${run.summary}`),
        );
        const key = () => make("p", { className: "pool-lab-key" });
        const figure = (canvas, index) => make("figure", {}, make("figcaption", {}, names[index]), canvas, key());
        this.waits = plot("How many waited how long. The table has the percentiles.");
        this.totals = plot("How many took how long in all.");
        this.curve = plot("Mean wait over utilisation by Erlang C, and where the runs are.");
        this.requests = plot("The requests of the moment: how long each waits and holds, and how it ends.");
        this.loads = make("div");
        const several = button("Run seven loads of the first", () => this.several());
        this.player = new Player(runs[0].frames, (at) => this.draw(at));
        this.screen.replaceChildren(
            this.player.element,
            make("div", { className: "pool-lab-pair" }, ...this.canvases.map(figure)),
            make("p", { className: "pool-lab-key" }, runs.some(hasCopies) ? KEY + COPIES : KEY),
            this.table(),
            details("Waits", this.waits, key()),
            details("Total times", this.totals, key()),
            details("Utilisation and wait", this.curve, key(), make("p", {}, several), this.loads),
            details("Request by request", this.requests, key()),
            ...runs.map((run, index) => this.said(run, names[index])),
        );
        for (const closed of this.screen.querySelectorAll("details")) {
            closed.addEventListener("toggle", () => this.redraw());
        }
        this.screen.hidden = false;
        this.status.textContent = runs.map((run, index) => `${names[index]}: ${run.summary}`).join(" ");
        this.player.show(this.player.last);
        if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
            this.player.play();
        }
    }

    /** Puts runs of the first one at several loads beside the curve. */
    async several() {
        const { loads } = this;
        loads.replaceChildren(make("p", { role: "status" }, "Running seven loads…"));
        let sweep;
        try {
            sweep = await ask("sweep", this.runs[0].knobs);
        } catch (error) {
            loads.replaceChildren(make("p", { role: "status" }, `No runs: ${error.message}.`));
            return;
        }
        // They belong to a run that has gone if another one is shown by now.
        if (loads !== this.loads) {
            return;
        }
        this.sweep = sweep;
        const rows = this.sweep.points.map((point) => [
            `${round(point.load * 100)} %`,
            `${round(point.utilisation * 100)} %`,
            round(point.rate, 1),
            ms(point.mean_wait),
            ms(point.theory_mean),
            ms(point.p99_wait),
            ms(point.theory_p99),
        ]);
        const head = ["load", "busy", "requests/s", "mean wait", "by Erlang C", "99 of 100", "by Erlang C"];
        const other = this.runs[0].knobs.includes("holds=") ? " Erlang C is for other holds than these." : "";
        const said = `Seven runs of the first one's pool, each under another load.${other}`;
        const title = make("p", { role: "status" }, said);
        this.loads.replaceChildren(title, table(head, rows));
        this.drawPlots();
    }

    table() {
        const { runs, names } = this;
        const outcomes = Object.keys(runs[0].figures.outcomes).filter((outcome) =>
            runs.some((run) => run.figures.outcomes[outcome] > 0),
        );
        const counts = outcomes.map((outcome) => [outcome, (run) => run.figures.outcomes[outcome]]);
        const rows = [["requests", (run) => run.figures.requests, ALL], ...counts, ...FIGURES];
        const copies = runs.some(hasCopies);
        const cells = rows.map(([label, value, of = ""]) => [label + (copies ? of : ""), ...runs.map(value)]);
        // A row of which no run has anything says nothing.
        return table(["", ...names], cells.filter(([, ...values]) => values.some((value) => value !== "–")));
    }

    /** What the pool itself says, and its knobs as Rust. */
    said(run, name) {
        const said = run.diagnoses.map(([outcome, text]) => make("p", {}, `${outcome}: `, make("code", {}, text)));
        const statistics = run.statistics.map(([counted, value]) => `${counted} ${value}`).join("\n");
        const copy = button("Copy", async () => {
            try {
                await navigator.clipboard.writeText(run.snippet);
                copy.textContent = "Copied";
            } catch {
                copy.textContent = "Not allowed here: select the text";
            }
        });
        return details(
            `What the pool says: ${name}`,
            ...(said.length > 0 ? said : [make("p", {}, "No acquire failed.")]),
            make("pre", {}, make("code", {}, statistics)),
            make("p", {}, copy),
            make("pre", {}, make("code", {}, run.snippet)),
        );
    }

    colours() {
        const style = getComputedStyle(this);
        return { ink: style.color, accent: style.getPropertyValue("--links") || style.color };
    }

    draw(at) {
        const colours = this.colours();
        this.runs.forEach((run, index) => {
            const canvas = this.canvases[index];
            canvas.nextElementSibling.textContent = drawRun(canvas, colours, run, at, this.most);
        });
        this.plot(this.requests, colours, drawRequests, this.names, at);
    }

    redraw() {
        if (this.runs && !this.screen.hidden) {
            this.draw(Math.round(this.player.at));
            this.drawPlots();
        }
    }

    /** A plot that is closed costs nothing. */
    plot(canvas, colours, draw, ...more) {
        if (canvas.offsetParent) {
            canvas.nextElementSibling.textContent = draw(canvas, colours, this.runs, ...more);
        }
    }

    drawPlots() {
        const colours = this.colours();
        this.plot(this.waits, colours, drawTimes, "waits");
        this.plot(this.totals, colours, drawTimes, "totals");
        this.plot(this.curve, colours, drawCurve, this.sweep);
    }
}

customElements.define("pool-lab", PoolLab);
