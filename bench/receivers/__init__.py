"""Other receivers of the same deliveries, each as its own documentation sets it up, with the same sink.

The sink is one insert a message, `POST /rest/v1/bench_messages` at the stand-in for PostgREST, awaited before
the delivery is acknowledged. Each takes PORT as its argument and SINK_URL, SINK_KEY, WHATSAPP_APP_SECRET from
the environment.
"""
