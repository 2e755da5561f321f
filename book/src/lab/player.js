// Play, pause, step, speed, and the moment that is shown.

import { button, make, round } from "./elements.js";

/** All of a run in so many milliseconds, at the speed of one. */
const LENGTH = 8000;

export class Player {
    /** Calls `draw` with the index of a frame whenever another one is to be shown. */
    constructor(frames, draw) {
        this.frames = frames;
        this.last = frames.length - 1;
        this.at = this.last;
        this.draw = draw;
        this.playing = button("Play", () => (this.timer ? this.pause() : this.play()));
        const step = button("Step", () => this.go(Math.min(Math.round(this.at) + 1, this.last)));
        const option = (value) => make("option", { value, selected: value === "1" }, `${value} ×`);
        const speeds = ["0.5", "1", "4"].map(option);
        this.speed = make("select", { "aria-label": "Speed" }, ...speeds);
        this.slider = make("input", { type: "range", min: 0, max: this.last, "aria-label": "Moment of the run" });
        this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
        this.moment = make("output", { "aria-live": "off" });
        const parts = [this.playing, step, this.speed, this.slider, this.moment];
        this.element = make("div", { className: "pool-lab-player" }, ...parts);
    }

    go(at) {
        this.pause();
        this.show(at);
    }

    show(at) {
        this.at = at;
        const frame = Math.round(at);
        this.slider.value = frame;
        const moment = `${round(this.frames[frame][0] / 1000, 1)} s`;
        this.slider.setAttribute("aria-valuetext", moment);
        this.moment.textContent = moment;
        this.draw(frame);
    }

    play() {
        if (this.at >= this.last) {
            this.at = 0;
        }
        this.playing.textContent = "Pause";
        let before;
        const frame = (now) => {
            const passed = ((now - (before ?? now)) / LENGTH) * this.last * Number(this.speed.value);
            before = now;
            this.show(Math.min(this.last, this.at + passed));
            if (this.at < this.last) {
                this.timer = requestAnimationFrame(frame);
            } else {
                this.pause();
            }
        };
        this.timer = requestAnimationFrame(frame);
    }

    pause() {
        cancelAnimationFrame(this.timer);
        this.timer = undefined;
        this.playing.textContent = "Play";
    }
}
