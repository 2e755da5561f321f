// What the lab draws. Nothing differs in colour alone: strokes and shapes differ too.

import { round } from "./elements.js";

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

/** Connections and waiting callers over time, and each connection at one moment. Returns that moment in words. */
export const drawRun = (canvas, colours, run, moment) => {
    const { pen, width, ink, accent } = surface(canvas, colours, 194);
    const [left, right, roof, floor] = [34, width - 6, 12, 120];
    const frames = run.frames;
    const at = Math.min(moment, frames.length - 1);
    const most = Math.max(1, ...frames.map(([, idle, held, , waiting]) => Math.max(idle + held, waiting)));
    const x = (index) => left + (index / Math.max(1, frames.length - 1)) * (right - left);
    const y = (value) => floor - (value / most) * (floor - roof);
    const curve = (value, dash, thickness, colour) => {
        pen.beginPath();
        frames.forEach((frame, index) => pen.lineTo(x(index), y(value(frame))));
        pen.setLineDash(dash);
        pen.lineWidth = thickness;
        pen.strokeStyle = colour;
        pen.stroke();
        pen.setLineDash([]);
    };
    curve(([, idle, held]) => idle + held, [6, 3], 1, ink);
    curve(([, , held]) => held, [], 1.5, accent);
    curve(([, , , , waiting]) => waiting, [2, 3], 2.5, ink);
    pen.fillText(String(most), 2, roof + 5);
    pen.fillText("0", 2, floor);
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
        const [x, y] = [left + (box % across) * (size + 3), 130 + Math.floor(box / across) * (size + 3)];
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
        pen.fillRect(left + bar * 5, 182, 3, 8);
    }
    const several = [each > 1 && `a box is ${each}`, callers > 1 && `a bar is ${callers}`].filter(Boolean).join(", ");
    const counts = `${held} held, ${idle} idle, ${connecting} being opened, ${waiting} waiting`;
    return several ? `${counts} (${several})` : counts;
};

/** How many took how long, of `waits` or `totals`. Returns the key to it. */
export const drawTimes = (canvas, colours, runs, of) => {
    const { pen, width, height, ink, accent } = surface(canvas, colours, 160);
    const bars = Math.max(...runs.map((run) => run[of].bars.length));
    const most = Math.max(1, ...runs.flatMap((run) => run[of].bars));
    const step = (width - 20) / bars / runs.length;
    runs.forEach((run, index) => {
        run[of].bars.forEach((count, bar) => {
            const tall = (count / most) * (height - 16);
            const [x, y] = [10 + (bar * runs.length + index) * step, height - 4 - tall];
            pen.fillStyle = accent;
            pen.strokeStyle = ink;
            if (index === 0) {
                pen.fillRect(x, y, step - 1, tall);
            } else {
                pen.strokeRect(x + 0.5, y + 0.5, Math.max(1, step - 2), tall);
            }
        });
    });
    const widths = runs.map((run) => `${run[of].width} ms`).join(" and ");
    const hollow = runs.length > 1 ? " Hollow: second." : "";
    return `Filled: first.${hollow} A bar is ${widths} wide; the last one holds the rest.`;
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
 * The first requests of each run on an axis of time: a thin line while they wait, a thick one while they hold. Returns
 * the key to it.
 */
export const drawRequests = (canvas, colours, runs, names) => {
    const { pen, width, ink, accent } = surface(canvas, colours, 190 * runs.length);
    runs.forEach((run, index) => {
        const shown = run.requests.slice(0, 40).sort(([a], [b]) => a - b);
        const first = shown[0]?.[0] ?? 0;
        const last = Math.max(first + 1, ...shown.map(([arrived, , total]) => arrived + total));
        const x = (at) => 10 + ((at - first) / (last - first)) * (width - 20);
        const top = index * 190;
        shown.forEach(([arrived, waited, total], line) => {
            const y = top + 8 + line * 4;
            pen.fillStyle = ink;
            pen.fillRect(x(arrived), y + 1, Math.max(1, x(arrived + waited) - x(arrived)), 1);
            pen.fillStyle = accent;
            pen.fillRect(x(arrived + waited), y, x(arrived + total) - x(arrived + waited), 3);
        });
        pen.fillStyle = ink;
        pen.fillText(`${names[index]}: ${first} ms to ${last} ms`, 10, top + 184);
    });
    return "A line for each of the first requests. Thin: it waits. Thick: it holds a connection.";
};
