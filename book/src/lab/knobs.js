// The form with every knob, and what it says as text for the module.

import { make } from "./elements.js";

export class Knobs {
    /** A row for each knob: one value for both configurations, or one each if it is the pool's, or differs. */
    constructor(id, { knobs, preset, onRun }) {
        this.id = id;
        this.knobs = knobs;
        this.form = make("form", { noValidate: true });
        const names = preset.scenarios.map(({ name }) => name);
        const values = preset.scenarios.map((scenario) => new URLSearchParams(scenario.knobs));
        const differs = ({ name }) => values.some((each) => each.get(name) !== values[0].get(name));
        for (const group of new Set(knobs.map((knob) => knob.group))) {
            const own = (knob) => group === "Pool" || differs(knob);
            this.form.append(this.group(group, names, own));
        }
        this.form.append(make("button", { type: "submit" }, "Run"));
        this.form.addEventListener("submit", (event) => {
            event.preventDefault();
            onRun();
        });
        this.fill(values);
        this.unchanged = preset.scenarios.map((_, index) => this.text(index));
    }

    group(group, names, own) {
        const knobs = this.knobs.filter((each) => each.group === group);
        const legend = knobs.some(own) ? `${group}: ${names.join(", then ")}` : group;
        const set = make("fieldset", {}, make("legend", {}, legend));
        for (const knob of knobs) {
            const inputs = (own(knob) ? names : [""]).map((name, index) => this.control(knob, index, name));
            const unit = knob.off ? `${knob.unit} (0: off)`.trim() : knob.unit;
            const label = make("label", { for: inputs[0].id }, knob.label + (unit ? ` in ${unit}` : ""));
            set.append(make("div", { className: "pool-lab-knob" }, label, ...inputs));
        }
        return set;
    }

    control(knob, index, name) {
        const id = `${this.id}-${knob.name}-${index}`;
        const properties = { id, name: `${index}.${knob.name}` };
        if (name) {
            properties["aria-label"] = `${knob.label}, ${name}`;
        }
        if (knob.choices) {
            const choices = knob.choices.map((choice) => make("option", { value: choice }, choice));
            return make("select", properties, ...choices);
        }
        return make("input", {
            ...properties,
            type: "number",
            min: knob.least,
            max: knob.most,
            step: knob.whole ? 1 : "any",
        });
    }

    fill(values) {
        for (const knob of this.knobs) {
            for (const index of [0, 1]) {
                const control = this.form.elements[`${index}.${knob.name}`];
                if (control) {
                    control.value = values[index]?.get(knob.name) ?? knob.default;
                }
            }
        }
    }

    /** The knobs of one configuration that differ from the defaults, as text for the module. */
    text(index) {
        const pairs = this.knobs.flatMap((knob) => {
            const control = this.form.elements[`${index}.${knob.name}`] ?? this.form.elements[`0.${knob.name}`];
            return control.value === knob.default ? [] : [`${knob.name}=${control.value}`];
        });
        return pairs.join("&");
    }

    /**
     * Takes `first/second` over from an address, as `text` gives them. Returns a part that the form cannot show, so
     * that the module refuses it.
     */
    read(address) {
        const parts = address.split("/").map(decodeURIComponent);
        this.fill(parts.map((part) => new URLSearchParams(part)));
        return parts.find((part, index) => {
            const shown = new URLSearchParams(this.text(index));
            return [...new URLSearchParams(part)].some(([name, value]) => {
                const knob = this.knobs.find((each) => each.name === name);
                return !knob || (shown.get(name) ?? knob.default) !== value;
            });
        });
    }
}
