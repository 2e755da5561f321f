// What the lab draws. Nothing differs in colour alone: strokes and shapes differ too.

import { round } from "./elements.js";

/** Outcomes of a request, by their numbers. Those between the two are errors. */
const LATE = 1;
const UNFINISHED = 6;

/** A canvas as wide as its place, in the page's own colours. */
const surface = (canvas, { ink, accent }, height) => {
    const width = canvas.clientWidth || 600;
    const scale = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale)) {
        canvas.width = Math.round(width * scale);
        canvas.height = Math.round(height * scale);
        canvas.style.height = `${height}px`;
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = "13px sans-serif";
    pen.fillStyle = ink;
    pen.strokeStyle = ink;
    return { pen, width, height, ink, accent };
};

/** A baseline with marks at round values up to `most`. */
const scale = (pen, y, most, unit, x) => {
    const power = 10 ** Math.floor(Math.log10(most / 4));
    const step = power * [1, 2, 5, 10].find((times) => power * times >= most / 4);
    pen.fillRect(x(0), y, x(most) - x(0), 1);
    for (let value = 0; value < 1.001 * most; value += step) {
        pen.fillRect(x(value), y, 1, 4);
        pen.textAlign = value > 0.9 * most ? "end" : "center";
        pen.fillText(value ? `${round(value, 3)} ${unit}` : "0", x(value), y + 16);
    }
    pen.textAlign = "start";
};

/** The most connections or waiting callers of any run: curves that are compared have one scale. */
export const highest = (runs) =>
    Math.max(1, ...runs.flatMap((run) => run.frames.flatMap(([, idle, held, , waiting]) => [idle + held, waiting])));

/**
 * Connections and waiting callers over time, on a scale up to `most`, and each connection at one moment. Returns that
 * moment in words.
 */
export const drawRun = (canvas, colours, run, moment, most) => {
    const { pen, width, ink, accent } = surface(canvas, colours, 212);
    const [left, right, roof, floor] = [34, width - 6, 12, 120];
    const frames = run.frames;
    const at = Math.min(moment, frames.length - 1);
    const x = (index) => left + (index / Math.max(1, frames.length - 1)) * (right - left);
    const y = (value) => floor - (value / most) * (floor - roof);
    const curve = (value, dash, thickness, colour) => {
        pen.beginPath();
        frames.forEach((frame, index) => pen.lineTo(x(index), y(value(frame))));
        pen.setLineDash(dash);
        pen.lineWidth = thickness;
        // A pointed joint of a steep curve would reach below 0.
        pen.lineJoin = "bevel";
        pen.strokeStyle = colour;
        pen.stroke();
        pen.setLineDash([]);
    };
    curve(([, idle, held]) => idle + held, [6, 3], 1, ink);
    curve(([, , held]) => held, [], 1.5, accent);
    curve(([, , , , waiting]) => waiting, [2, 3], 2.5, ink);
    pen.fillText(String(most), 2, roof + 5);
    pen.fillText("0", 2, floor);
    const last = Math.max(1, frames.at(-1)[0]) / 1000;
    scale(pen, floor, last, "s", (second) => left + (second / last) * (right - left));
    pen.fillRect(x(at), roof, 1, floor - roof);
    return drawMoment(pen, { ink, accent, left, right }, frames[at]);
};

/** A box for each connection, and a bar for each caller that waits, or for several if there is no room for each. */
const drawMoment = (pen, { ink, accent, left, right }, [, idle, held, connecting, waiting]) => {
    const total = Math.max(1, idle + held + connecting);
    const size = Math.max(3, Math.min(18, Math.floor((right - left) / Math.min(total, 100)) - 3));
    const across = Math.max(1, Math.floor((right - left) / (size + 3)));
    const lines = Math.max(1, Math.floor(48 / (size + 3)));
    const each = Math.ceil(total / (across * lines));
    for (let box = 0; box * each < idle + held + connecting; box++) {
        const [x, y] = [left + (box % across) * (size + 3), 148 + Math.floor(box / across) * (size + 3)];
        if (box * each < held) {
            pen.fillStyle = accent;
            pen.fillRect(x, y, size, size);
        } else {
            pen.lineWidth = 1;
            pen.strokeStyle = ink;
            pen.setLineDash(box * each < held + idle ? [] : [2, 2]);
            pen.strokeRect(x + 0.5, y + 0.5, size - 1, size - 1);
            pen.setLineDash([]);
        }
    }
    pen.fillStyle = ink;
    const places = Math.floor((right - left) / 5);
    const callers = Math.max(1, Math.ceil(waiting / places));
    for (let bar = 0; bar * callers < waiting; bar++) {
        pen.fillRect(left + bar * 5, 200, 3, 8);
    }
    const several = [each > 1 && `a box is ${each}`, callers > 1 && `a bar is ${callers}`].filter(Boolean).join(", ");
    const counts = `${held} held, ${idle} idle, ${connecting} being opened, ${waiting} waiting`;
    return several ? `${counts} (${several})` : counts;
};

/** The bar that holds the rest. */
const REST = 24;

/** How many took how long, of `waits` or `totals`. Returns the key to it. */
export const drawTimes = (canvas, colours, runs, of) => {
    const { pen, width, ink, accent } = surface(canvas, colours, 176);
    // Widths are powers of two, so that finer bars fit into coarser ones.
    const wide = Math.max(...runs.map((run) => run[of].width));
    const place = (run, bar) => Math.floor((bar * run[of].width) / wide);
    const last = Math.max(...runs.map((run) => place(run, run[of].bars.length - 1)));
    const joined = runs.map((run) => {
        const sums = Array(last + 1).fill(0);
        run[of].bars.forEach((count, bar) => (sums[bar < REST ? place(run, bar) : last] += count));
        return sums;
    });
    const most = Math.max(1, ...joined.flat());
    const each = (width - 20) / (last + 1);
    const step = each / runs.length;
    const floor = 154;
    joined.forEach((sums, index) => {
        sums.forEach((count, bar) => {
            const tall = (count / most) * (floor - 12);
            const [x, y] = [10 + bar * each + index * step, floor - tall];
            pen.fillStyle = accent;
            pen.strokeStyle = ink;
            if (index === 0) {
                pen.fillRect(x, y, step - 1, tall);
            } else {
                pen.strokeRect(x + 0.5, y + 0.5, Math.max(1, step - 2), tall);
            }
        });
    });
    pen.fillStyle = ink;
    scale(pen, floor, (last + 1) * wide, "ms", (millis) => 10 + (millis / wide) * each);
    const hollow = runs.length > 1 ? " Hollow: second." : "";
    return `Filled: first.${hollow} A bar is ${wide} ms wide; the last one holds the rest.`;
};

/**
 * Mean wait over utilisation: the curve of Erlang C, the runs, and a ring for each load if there has been a sweep.
 * Returns the key to it.
 */
export const drawCurve = (canvas, colours, runs, sweep) => {
    const { pen, width, height, ink, accent } = surface(canvas, colours, 200);
    const rings = sweep?.points ?? [];
    const waits = [...runs.map((run) => run.figures.mean_wait), ...rings.map((point) => point.mean_wait)];
    const most = Math.max(1, ...waits) * 1.2;
    const x = (utilisation) => 40 + Math.min(utilisation, 1) * (width - 60);
    const y = (wait) => height - 24 - (Math.min(wait, most) / most) * (height - 44);
    pen.strokeRect(x(0), y(most), x(1) - x(0), y(0) - y(most));
    runs.forEach((run, index) => {
        pen.beginPath();
        const inside = run.curve.filter(([, wait]) => wait <= most);
        inside.forEach(([utilisation, wait]) => pen.lineTo(x(utilisation), y(wait)));
        pen.setLineDash(index === 0 ? [] : [5, 3]);
        pen.stroke();
        pen.setLineDash([]);
        const [dotX, dotY] = [x(run.figures.utilisation), y(run.figures.mean_wait)];
        pen.fillStyle = accent;
        pen.beginPath();
        if (index === 0) {
            pen.arc(dotX, dotY, 5, 0, 7);
        } else {
            pen.rect(dotX - 4, dotY - 4, 9, 9);
        }
        pen.fill();
    });
    pen.strokeStyle = accent;
    pen.lineWidth = 2;
    for (const point of rings) {
        pen.beginPath();
        pen.arc(x(point.utilisation), y(point.mean_wait), 7, 0, 7);
        pen.stroke();
    }
    pen.lineWidth = 1;
    pen.fillStyle = ink;
    pen.fillText(`${round(most)} ms`, 2, 14);
    pen.fillText("0 %", 36, height - 8);
    pen.fillText("100 % busy", width - 80, height - 8);
    const second = runs.length > 1 ? " Square, dashed: second." : "";
    const swept = rings.length > 0 ? " Rings: one run at each load." : "";
    return `Line: Erlang C, for random arrivals. Dot: first.${second}${swept}`;
};

/**
 * The requests of each run that arrive from a moment on, on an axis of time: what each does when, and how it ends.
 * Returns the key to it.
 */
export const drawRequests = (canvas, colours, runs, names, moment) => {
    const { pen, width, ink, accent } = surface(canvas, colours, 190 * runs.length);
    pen.lineWidth = 1;
    const shown = runs.map(({ requests, moments, frames }) => {
        const start = moments[Math.min(Math.floor((moment / frames.length) * moments.length), moments.length - 1)];
        return requests.slice(start, start + 40);
    });
    const first = Math.min(...shown.flatMap((all) => all.map(([arrived]) => arrived)));
    const ends = ([arrived, , total, outcome]) => arrived + (outcome < UNFINISHED ? total : 0);
    const last = Math.max(first + 1, ...shown.flatMap((all) => all.map(ends)));
    shown.forEach((all, index) => {
        const x = (at) => 10 + ((Math.min(at, last) - first) / (last - first)) * (width - 30);
        const top = index * 190;
        all.forEach(([arrived, waited, total, outcome, released = total, asked = total, again = 0], line) => {
            const y = top + 8 + line * 4;
            const bar = (from, to, tall) => {
                if (to > from) {
                    const at = x(arrived + from);
                    pen.fillRect(at, y - (tall - 1) / 2, Math.max(1, x(arrived + to) - at), tall);
                }
            };
            pen.fillStyle = ink;
            bar(0, waited, 1);
            // A request that keeps its first connection while it waits for a second.
            if (again > 0 && released === asked) {
                pen.strokeStyle = accent;
                pen.strokeRect(x(arrived + asked), y - 0.5, x(arrived + asked + again) - x(arrived + asked), 2);
            } else {
                bar(asked, asked + again, 1);
            }
            pen.fillStyle = accent;
            bar(waited, released, 3);
            bar(asked + again, total, 3);
            pen.strokeStyle = ink;
            const end = x(arrived + total) + 4;
            pen.beginPath();
            if (outcome === LATE) {
                pen.arc(end, y, 2, 0, 7);
            } else if (outcome > LATE && outcome < UNFINISHED) {
                for (const tilt of [-2, 2]) {
                    pen.moveTo(end - 2, y - tilt);
                    pen.lineTo(end + 2, y + tilt);
                }
            }
            pen.stroke();
        });
        pen.fillStyle = ink;
        pen.fillText(all.length > 0 ? `${names[index]}: ${first} ms to ${last} ms` : names[index], 10, top + 184);
    });
    return (
        "A line for each request that arrives from the moment above on. Thin: it waits. Thick: it holds a " +
        "connection. Hollow: it holds one and waits for another. Cross: an error. Ring: an answer that came too late."
    );
};
