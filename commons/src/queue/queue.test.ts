import { describe, expect, it } from 'vitest';
import { seededRandom, simulatedTime } from '../../testkit/index.ts';
import { oaasError, type OaasError } from '../errors/index.ts';
import { createMetrics } from '../telemetry/index.ts';
import { type Outcome, type Worker, workQueueMetrics, WorkQueue, type WorkQueueOptions } from './index.ts';

const done: Outcome = { done: true };

function setup(options: Partial<WorkQueueOptions> = {}) {
  const time = simulatedTime();
  const failures: { key: string; code: string; retryInMs: number | undefined }[] = [];
  const queue = new WorkQueue({
    name: 'test',
    timers: time.timers,
    clock: time.clock,
    random: seededRandom(1),
    limits: { depthMax: 100, concurrency: 2 },
    backoff: { baseMs: 100, maxMs: 1000, factor: 2, jitter: 0 },
    onFailure: (key: string, { code }: OaasError, retryInMs) => failures.push({ key, code, retryInMs }),
    ...options,
  });
  return { ...time, queue, failures };
}

/** A worker whose every run is finished by the test. */
function manualWorker() {
  const runs: {
    key: string;
    signal: AbortSignal;
    finish: (outcome?: Outcome) => void;
    fail: (error: unknown) => void;
  }[] = [];
  const worker: Worker = (key, signal) =>
    new Promise((resolve, reject) => {
      runs.push({ key, signal, finish: (outcome = done) => resolve(outcome), fail: reject });
    });
  return { runs, worker, keys: () => runs.map((run) => run.key) };
}

describe('a work queue', () => {
  it('deals once with a key that is added several times while it waits', async () => {
    const { queue, advance } = setup();
    const seen: string[] = [];
    queue.add('a');
    queue.add('a');
    queue.add('b');
    void queue.run((key) => {
      seen.push(key);
      return Promise.resolve(done);
    });
    await advance(0);
    expect(seen).toEqual(['a', 'b']);
    expect(queue.size).toBe(0);
  });

  it('runs a key again, and never twice at once, when it is added while in work', async () => {
    const { queue, advance } = setup();
    const { runs, worker, keys } = manualWorker();
    void queue.run(worker);
    queue.add('a');
    await advance(0);
    queue.add('a');
    queue.add('a');
    await advance(0);
    expect(keys()).toEqual(['a']);
    runs[0]?.finish();
    await advance(0);
    expect(keys()).toEqual(['a', 'a']);
    runs[1]?.finish();
    await advance(0);
    expect(keys()).toEqual(['a', 'a']);
    expect(queue.size).toBe(0);
  });

  it('keeps to its number of workers, and takes keys in the order they came', async () => {
    const { queue, advance } = setup();
    const { runs, worker, keys } = manualWorker();
    void queue.run(worker);
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    await advance(0);
    expect(keys()).toEqual(['a', 'b']);
    expect(queue.depth).toBe(2);
    runs[1]?.finish();
    await advance(0);
    expect(keys()).toEqual(['a', 'b', 'c']);
  });

  it('does not start work inside the call that adds a key', () => {
    const { queue } = setup();
    let hasRun = false;
    void queue.run(() => {
      hasRun = true;
      return Promise.resolve(done);
    });
    queue.add('a');
    expect(hasRun).toBe(false);
  });

  it('brings a key back after the time that its worker asks for', async () => {
    const { queue, advance } = setup();
    let runs = 0;
    void queue.run(() => Promise.resolve(++runs === 1 ? { requeueAfterMs: 500 } : done));
    queue.add('a');
    await advance(499);
    expect(runs).toBe(1);
    await advance(1);
    expect(runs).toBe(2);
    expect(queue.size).toBe(0);
  });

  it('counts the earliest of several delays', async () => {
    const { queue, advance, pending } = setup();
    const seen: string[] = [];
    void queue.run((key) => {
      seen.push(key);
      return Promise.resolve(done);
    });
    queue.addAfter('a', 1000);
    queue.addAfter('a', 10);
    queue.addAfter('a', 500);
    await advance(10);
    expect(seen).toHaveLength(1);
    expect(pending()).toBe(0);
  });
});

describe('a failing key', () => {
  it('comes back with a growing delay when the error says retry, and starts anew after a success', async () => {
    const { queue, advance, failures } = setup();
    let runs = 0;
    void queue.run(() => {
      runs += 1;
      return runs <= 3 ? Promise.reject(oaasError('Unavailable', 'down')) : Promise.resolve(done);
    });
    queue.add('a');
    await advance(0);
    expect(queue.failures('a')).toBe(1);
    await advance(100 + 200 + 400);
    expect(runs).toBe(4);
    expect(failures.map((failure) => failure.retryInMs)).toEqual([100, 200, 400]);
    expect(queue.failures('a')).toBe(0);
  });

  it('comes back when the error says so, if it says wait', async () => {
    const { queue, advance, failures } = setup();
    void queue.run(() => Promise.reject(oaasError('ResourceExhausted', 'full', { retryAfterMs: 5000 })));
    queue.add('a');
    await advance(4999);
    expect(failures).toEqual([{ key: 'a', code: 'ResourceExhausted', retryInMs: 5000 }]);
    await advance(1);
    expect(failures).toHaveLength(2);
  });

  it('is forgotten until the next add, if the error says stop', async () => {
    const { queue, advance, failures, pending } = setup();
    void queue.run(() => Promise.reject(oaasError('PackageInvalid', 'wrong')));
    queue.add('a');
    await advance(1_000_000);
    expect(failures).toEqual([{ key: 'a', code: 'PackageInvalid', retryInMs: undefined }]);
    expect(queue.size).toBe(0);
    expect(pending()).toBe(0);
    queue.add('a');
    await advance(0);
    expect(failures).toHaveLength(2);
  });

  it('is tried again also when its worker throws something unknown', async () => {
    const { queue, advance, failures } = setup();
    void queue.run(() => {
      throw new TypeError('defect');
    });
    queue.add('a');
    await advance(100);
    expect(failures.map((failure) => failure.code)).toEqual(['Internal', 'Internal']);
  });

  it('is dealt with at once when it changes during its backoff', async () => {
    const { queue, advance, failures } = setup();
    void queue.run(() => Promise.reject(oaasError('Unavailable', 'down')));
    queue.add('a');
    await advance(0);
    queue.add('a');
    await advance(0);
    expect(failures).toHaveLength(2);
  });
});

describe('the bound of a queue', () => {
  it('refuses a new key but never one it already has', () => {
    const { queue } = setup({ limits: { depthMax: 2, concurrency: 1 } });
    queue.add('a');
    queue.addAfter('b', 1000);
    queue.add('a');
    queue.add('b');
    expect(() => {
      queue.add('c');
    }).toThrow('queue test is full');
    expect(queue.size).toBe(2);
  });
});

describe('the end of a queue', () => {
  it('waits for the work under way, drops the rest, and takes no more', async () => {
    const { queue, advance, pending } = setup({ limits: { depthMax: 10, concurrency: 1 } });
    const { runs, worker, keys } = manualWorker();
    const ran = queue.run(worker);
    queue.add('a');
    queue.add('b');
    queue.addAfter('c', 10);
    await advance(0);
    const stopped = queue.stop({ timeoutMs: 1000 });
    queue.add('d');
    runs[0]?.finish({ requeueAfterMs: 1 });
    await stopped;
    await ran;
    await advance(10_000);
    expect(keys()).toEqual(['a']);
    expect(queue.size).toBe(0);
    expect(pending()).toBe(0);
  });

  it('aborts and names the workers that do not finish in time', async () => {
    const { queue, advance } = setup();
    const { runs, worker } = manualWorker();
    void queue.run(worker);
    queue.add('slow');
    await advance(0);
    const stopped = queue.stop({ timeoutMs: 1000 });
    const failed = expect(stopped).rejects.toMatchObject({ code: 'DeadlineExceeded', details: { aborted: ['slow'] } });
    await advance(999);
    expect(runs[0]?.signal.aborted).toBe(false);
    await advance(1);
    await failed;
    expect(runs[0]?.signal.aborted).toBe(true);
  });

  it('drains what is queued, not what is delayed', async () => {
    const { queue, advance } = setup();
    const { runs, worker } = manualWorker();
    void queue.run(worker);
    queue.add('a');
    queue.addAfter('later', 60_000);
    let isDrained = false;
    void queue.drain({ timeoutMs: 1000 }).then(() => (isDrained = true));
    await advance(0);
    expect(isDrained).toBe(false);
    runs[0]?.finish();
    await advance(0);
    expect(isDrained).toBe(true);
    expect(queue.size).toBe(1);
  });
});

describe('the metrics of a queue', () => {
  it('count adds, retries and failures under the name of the queue', async () => {
    const metrics = createMetrics({ service: 'test' });
    const { queue, advance } = setup({ metrics: workQueueMetrics(metrics, ['records'])('records') });
    let runs = 0;
    void queue.run(() => (++runs === 1 ? Promise.reject(oaasError('Unavailable', 'down')) : Promise.resolve(done)));
    queue.add('a');
    await advance(100);
    const { body } = await metrics.render();
    expect(body).toContain('workqueue_adds_total{name="records",service="test"} 2');
    expect(body).toContain('workqueue_retries_total{name="records",service="test"} 1');
    expect(body).toContain('workqueue_failures_total{name="records",consequence="retry",service="test"} 1');
    expect(body).toContain('workqueue_depth{name="records",service="test"} 0');
    expect(body).toContain('workqueue_work_duration_seconds_count{service="test",name="records"} 2');
  });
});
