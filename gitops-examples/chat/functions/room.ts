import { AppError, type FunctionCall, serveClass } from '@oaas/commons/function';

interface Message {
  readonly from: string;
  readonly text: string;
}

/** One entry for each member and each message: writing one does not touch the others. */
serveClass({
  join: async (call: FunctionCall) => {
    const { user } = call.json<{ user: string }>();
    await call.object.setJson(`member.${user}`, true);
    return { joined: user };
  },

  post: (call: FunctionCall) => {
    const message = call.json<Message>();
    return call.object.update(async (draft) => {
      if ((await draft.get(`member.${message.from}`)) === undefined) throw new AppError('only members may post');
      const number = ((await draft.getJson<number>('last')) ?? 0) + 1;
      draft.setJson('last', number);
      draft.setJson(`message.${String(number).padStart(8, '0')}`, message);
      return { number };
    });
  },

  history: async (call: FunctionCall) => {
    const messages: Message[] = [];
    for await (const { value } of call.object.list('message.')) {
      messages.push(JSON.parse(Buffer.from(value).toString('utf8')) as Message);
    }
    return { messages };
  },
});
