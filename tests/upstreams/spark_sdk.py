"""iFlytek's own client asks a server: `python -m tests.upstreams.spark_sdk ADDRESS DOMAIN SECRET` prints what came,
as JSON. Run by test_spark_sdk.py, because it starts threads and a logger of its own."""

import json
import sys

from sparkai.core.messages import ChatMessage
from sparkai.llm.llm import ChatSparkLLM

from tests.upstreams.spark_server import API_KEY, APP_ID

address, domain, secret = sys.argv[1:]
client = ChatSparkLLM(
    spark_app_id=APP_ID,
    spark_api_key=API_KEY,
    spark_api_secret=secret,
    spark_api_url=address,
    spark_llm_domain=domain,
    streaming=True,
)
texts, usage = [], {}
try:
    for chunk in client.stream([ChatMessage(role="user", content="Hi 星火")]):
        texts.append(chunk.content)
        usage = chunk.additional_kwargs.get("token_usage", usage)
    print(json.dumps({"texts": texts, "usage": usage}))
except Exception as error:
    print(json.dumps({"error": str(error)}))
