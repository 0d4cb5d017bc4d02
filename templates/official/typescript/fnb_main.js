// What is bundled: the server, and the handler behind it.

import { main } from './fnb_serve.js'

main(() => import('fnb:handler'))
