// The module: the real pool, compiled to WebAssembly.

const MODULE = new URL("pool-lab.wasm", import.meta.url);

// What the module asks of its host. The clock stands still: the lab has its own. Nothing else is ever used.
const host = (memory) => {
    const words = () => new DataView(memory().buffer);
    const write = (at, ...values) => values.forEach((value, index) => words().setUint32(at + 4 * index, value, true));
    const known = {
        clock_time_get: (_id, _precision, at) => (words().setBigUint64(at, 0n, true), 0),
        random_get: (at, length) => (new Uint8Array(memory().buffer, at, length).fill(7), 0),
        environ_sizes_get: (count, size) => (write(count, 0), write(size, 0), 0),
        environ_get: () => 0,
        proc_exit: () => {
            throw new Error("the module has stopped");
        },
        fd_write: (_file, parts, count, written) => {
            let text = "";
            for (let part = 0; part < count; part++) {
                const [at, length] = [0, 4].map((offset) => words().getUint32(parts + 8 * part + offset, true));
                text += new TextDecoder().decode(new Uint8Array(memory().buffer, at, length));
            }
            write(written, new TextEncoder().encode(text).length);
            console.error(text);
            return 0;
        },
    };
    const UNSUPPORTED = 52;
    return new Proxy(known, { get: (all, name) => all[name] ?? (() => UNSUPPORTED) });
};

/**
 * Loads the module. Returns what it can do: `knobs()`, and `run`, `size` and `sweep` of a scenario's text. All of them
 * give JSON as text.
 */
export const load = async (url = MODULE) => {
    const response = await fetch(url);
    if (!response.ok) {
        throw new Error(`${response.status} for ${url}`);
    }
    const module = await WebAssembly.compile(await response.arrayBuffer());
    let instance;
    const functions = host(() => instance.exports.memory);
    const imports = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
        imports[from] ??= {};
        imports[from][name] = functions[name];
    }
    instance = await WebAssembly.instantiate(module, imports);
    const { input, output, memory, ...verbs } = instance.exports;
    const answer = (length) => new TextDecoder().decode(new Uint8Array(memory.buffer, output(), length));
    const about = (verb) => (text) => {
        const bytes = new TextEncoder().encode(text);
        new Uint8Array(memory.buffer, input(bytes.length), bytes.length).set(bytes);
        return answer(verb());
    };
    const [run, size, sweep] = [verbs.run, verbs.size, verbs.sweep].map(about);
    return { knobs: () => answer(verbs.knobs()), run, size, sweep };
};
