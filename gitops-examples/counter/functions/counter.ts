import { type FunctionCall, serveClass } from '@oaas/commons/function';

/** From the function's `config` in package.yaml. */
const step = Number(process.env['STEP'] ?? 1);

/** State in one entry of the object. `update` counts right however many callers there are at once. */
serveClass({
  increment: (call: FunctionCall) => {
    const { by = step } = call.payload.length === 0 ? {} : call.json<{ by?: number }>();
    return call.object.update(async (draft) => {
      const count = ((await draft.getJson<number>('count')) ?? 0) + by;
      draft.setJson('count', count);
      return { count };
    });
  },

  reset: async (call: FunctionCall) => {
    await call.object.setJson('count', 0);
    return { count: 0 };
  },

  value: async (call: FunctionCall) => ({ count: (await call.object.getJson<number>('count')) ?? 0 }),
});
