// The reader's own numbers, and the size that the module makes of them.

import { ask } from "./ask.js";
import { make } from "./elements.js";

const NUMBERS = [
    ["rate", "Requests a second that need a connection, in your busiest minute, of all copies together"],
    ["hold", "Mean time that a request keeps its connection, in ms"],
    ["target", "99 of 100 requests shall wait for a connection no longer than so many ms"],
    ["replicas", "Copies of your program that run at the same time (replicas)"],
    ["surge", "Copies that a deploy adds at most, while old ones are still ending"],
    ["server_limit", "Connections that the server has for this program (0: I do not know)"],
];

export class Sizing {
    constructor(id, { preset, onSize }) {
        this.given = new URLSearchParams(preset.scenarios[0].knobs);
        this.form = make("form", { noValidate: true, className: "pool-lab-sizing" });
        const set = make("fieldset", {}, make("legend", {}, "With your own numbers"));
        for (const [name, text] of NUMBERS) {
            const input = make("input", { id: `${id}-size-${name}`, name, type: "number", min: 0, step: "any" });
            input.value = this.given.get(name) ?? (name === "server_limit" ? 0 : 1);
            const label = make("label", { for: input.id }, text);
            set.append(make("div", { className: "pool-lab-knob" }, label, input));
        }
        set.append(make("button", { type: "submit" }, "Size my pool"));
        this.form.append(set);
        this.answer = make("div", { "aria-live": "polite", className: "pool-lab-answer" });
        this.form.addEventListener("submit", (event) => {
            event.preventDefault();
            onSize();
        });
    }

    text() {
        for (const [name] of NUMBERS) {
            this.given.set(name, this.form.elements[name].value);
        }
        return [...this.given].map(([name, value]) => `${name}=${value}`).join("&");
    }

    /** Takes the numbers over from an address, as `text` gives them. */
    read(text) {
        this.given = new URLSearchParams(text);
        for (const [name] of NUMBERS) {
            if (this.given.has(name)) {
                this.form.elements[name].value = this.given.get(name);
            }
        }
    }

    /** Shows the answer and its reasons. Returns the run of the answer. */
    async size(text) {
        this.answer.replaceChildren();
        const { words, run } = await ask("size", text);
        const [answer, ...reasons] = words;
        this.answer.append(
            make("p", {}, make("strong", {}, answer)),
            make("ol", {}, ...reasons.map((reason) => make("li", {}, reason))),
        );
        return run;
    }
}
