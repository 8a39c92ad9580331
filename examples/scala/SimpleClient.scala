import com.google.protobuf.ByteString
import inference.GRPCInferenceServiceGrpc
import inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceBlockingStub
import inference.GrpcService._
import inference.GrpcService.ModelInferRequest.{InferInputTensor, InferRequestedOutputTensor}
import inference.GrpcService.ModelMetadataResponse.TensorMetadata
import io.grpc.{ManagedChannelBuilder, StatusRuntimeException}
import java.nio.{ByteBuffer, ByteOrder}
import java.util.concurrent.TimeUnit

/** Asks a server how it is and what its model "simple" takes, and adds and subtracts with it.
  *
  * It uses the classes that are generated for Java; docs/generated_apis.md tells how, and how to
  * run it.
  */
object SimpleClient {
  private val Model = "simple"
  private val TimeoutSeconds = 10
  private val IntBytes = 4

  def main(arguments: Array[String]): Unit = {
    val url = arguments.headOption.getOrElse("localhost:8001")
    val channel = ManagedChannelBuilder.forTarget(url).usePlaintext().build()
    // One deadline for all calls.
    val server = GRPCInferenceServiceGrpc
      .newBlockingStub(channel)
      .withDeadlineAfter(TimeoutSeconds, TimeUnit.SECONDS)
    val failure =
      try {
        showHealth(server)
        showMetadata(server)
        addAndSubtract(server)
      } catch {
        case error: StatusRuntimeException => Some(error.getMessage)
      } finally channel.shutdownNow()
    failure.foreach { message =>
      Console.err.println(message)
      sys.exit(1)
    }
  }

  private def showHealth(server: GRPCInferenceServiceBlockingStub): Unit = {
    val live = server.serverLive(ServerLiveRequest.getDefaultInstance).getLive
    println(s"server is live: $live")
    val ready = server.serverReady(ServerReadyRequest.getDefaultInstance).getReady
    println(s"server is ready: $ready")
    val model = server.modelReady(ModelReadyRequest.newBuilder.setName(Model).build)
    println(s"model $Model is ready: ${model.getReady}")
  }

  private def showMetadata(server: GRPCInferenceServiceBlockingStub): Unit = {
    val metadata = server.modelMetadata(ModelMetadataRequest.newBuilder.setName(Model).build)
    def describe(tensor: TensorMetadata): String =
      s"${tensor.getName} ${tensor.getDatatype} ${tensor.getShapeList}"
    for (i <- 0 until metadata.getInputsCount)
      println(s"input: ${describe(metadata.getInputs(i))}")
    for (i <- 0 until metadata.getOutputsCount)
      println(s"output: ${describe(metadata.getOutputs(i))}")
  }

  /** Prints sums and differences; what is wrong with them, if anything. */
  private def addAndSubtract(server: GRPCInferenceServiceBlockingStub): Option[String] = {
    val first = Array.range(0, 16)
    val second = Array.fill(16)(1)
    val request = ModelInferRequest.newBuilder
      .setModelName(Model)
      .addInputs(input("INPUT0"))
      .addInputs(input("INPUT1"))
      .addOutputs(InferRequestedOutputTensor.newBuilder.setName("OUTPUT0"))
      .addOutputs(InferRequestedOutputTensor.newBuilder.setName("OUTPUT1"))
      .addRawInputContents(toBytes(first))
      .addRawInputContents(toBytes(second))
      .build
    val response = server.modelInfer(request)
    (intOutput(response, "OUTPUT0"), intOutput(response, "OUTPUT1")) match {
      case (Some(sums), Some(differences))
          if sums.length == first.length && differences.length == first.length =>
        for (i <- first.indices) {
          println(s"${first(i)} + ${second(i)} = ${sums(i)}")
          println(s"${first(i)} - ${second(i)} = ${differences(i)}")
        }
        val right = first.indices.forall { i =>
          sums(i) == first(i) + second(i) && differences(i) == first(i) - second(i)
        }
        if (right) None else Some("wrong sums or differences")
      case _ => Some("expected OUTPUT0 and OUTPUT1 as raw contents of 16 INT32")
    }
  }

  private def input(name: String): InferInputTensor =
    InferInputTensor.newBuilder.setName(name).setDatatype("INT32").addShape(1).addShape(16).build

  /** The wire has elements in little-endian and row-major order, with nothing in between. */
  private def toBytes(values: Array[Int]): ByteString = {
    val data = ByteBuffer.allocate(IntBytes * values.length).order(ByteOrder.LITTLE_ENDIAN)
    values.foreach(data.putInt)
    ByteString.copyFrom(data.array)
  }

  /** An output by name; raw contents come in the order of the response's outputs. */
  private def intOutput(response: ModelInferResponse, name: String): Option[Array[Int]] =
    (0 until response.getRawOutputContentsCount)
      .find { i =>
        val output = response.getOutputs(i)
        output.getName == name && output.getDatatype == "INT32"
      }
      .map { i =>
        val data = response.getRawOutputContents(i).asReadOnlyByteBuffer
        data.order(ByteOrder.LITTLE_ENDIAN)
        Array.fill(data.remaining / IntBytes)(data.getInt)
      }
}
