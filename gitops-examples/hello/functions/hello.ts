import { AppError, type FunctionCall, serveClass } from '@oaas/commons/function';

/** A class without state: what comes out depends on what comes in, and on nothing else. */
serveClass({
  greet: (call: FunctionCall) => {
    const { name = 'world' } = call.payload.length === 0 ? {} : call.json<{ name?: string }>();
    if (name.trim() === '') throw new AppError('a greeting needs a name');
    return { message: `Hello, ${name}!` };
  },

  echo: (call: FunctionCall) => call.payload,
});
