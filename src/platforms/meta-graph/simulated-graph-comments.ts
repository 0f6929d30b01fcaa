/** Comments of Facebook and Instagram on the simulator. */
import { addComment, commentsOn } from '../simulator/comments.js';
import { ok, textField, type SimulatedCall, type SimulatedRoute } from '../simulator/network.js';
import { graphError } from './simulated-graph.js';

interface Rules {
  network: string;
  root: string;
  idOf(call: SimulatedCall, postId: string): string;
  fields: { text: string; at: string };
}

export function graphCommentRoutes({ network, root, idOf, fields }: Rules): SimulatedRoute[] {
  const path = `${root}/:id/comments`;
  return [
    {
      method: 'post', path, act: 'publish', textOf: ({ body }) => textField(body, 'message'),
      handle(call) {
        const postId = call.params['id'] ?? '';
        const text = textField(call.body, 'message');
        if (text === '') return graphError(100, 'The parameter message is required.');
        const made = addComment(call, network, postId, { id: idOf(call, postId), text });
        return made === null ? graphError(100, 'Unsupported post request. The object does not exist.', { subcode: 33 }) : ok({ id: made.id });
      },
    },
    {
      method: 'get', path, act: 'look-up',
      handle: (call) => ok({
        data: commentsOn(call, network, call.params['id'] ?? '').map(({ id, text, at }) => ({ id, [fields.text]: text, [fields.at]: new Date(at).toISOString().replace(/\.\d+Z/, '+0000') })),
      }),
    },
  ];
}
